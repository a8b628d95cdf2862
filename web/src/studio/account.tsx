// A frame that shows its content to providers and operators only.

import type { ReactNode } from 'react';
import { t } from '../i18n/t';

import { ApiError } from '../kit/api';
import { api } from '../kit/portal';
import type { Me } from '../kit/types';
import { useLive, useSignIn } from '../ui/hooks';
import { Empty, ErrorPage, Loading } from '../ui/parts';
import { SignInForm } from '../ui/sign-in';

const ME_POLL_MS = 300_000;

/** The user, if they may publish. A refusal ends the reading (useLive): nothing changes until another sign-in. */
async function publisher(): Promise<Me> {
  const me = await api.me();
  if (me.role !== 'operator' && me.providers.length === 0) throw new ApiError(403, 'umbel.forbidden');
  return me;
}

/** Shows `children` to providers and operators, and to others what to do. */
export function ForProviders({ children }: { children: (me: Me) => ReactNode }) {
  const signIn = useSignIn();
  const {
    data: me,
    error,
    refresh,
  } = useLive(signIn ? `me ${signIn.username}` : null, publisher, ['user'], ME_POLL_MS);
  if (!signIn) {
    return <SignInForm title={t('studio.signIn')}>{t('studio.signInText')}</SignInForm>;
  }
  if (error?.status === 403) {
    return (
      <Empty isPage title={t('studio.viewerOnly')}>
        <p>{t('studio.askOwner', { name: signIn.username })}</p>
      </Empty>
    );
  }
  if (error && !me) return <ErrorPage title={t('studio.cannotShow')} error={error} onRetry={refresh} />;
  if (!me) return <Loading what={t('studio.loading')} />;
  return <>{children(me)}</>;
}
