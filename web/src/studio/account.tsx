// A frame that shows its content to providers and operators only.

import type { ReactNode } from 'react';

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
  if (me.role !== 'operator' && me.providers.length === 0)
    throw new ApiError(403, 'umbel.forbidden', 'This account can watch, but not publish.');
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
    return (
      <SignInForm title="Sign in to the studio">For providers and operators. You need no account to watch.</SignInForm>
    );
  }
  if (error?.status === 403) {
    return (
      <Empty isPage title="This account can watch, but not publish">
        <p>Ask an owner of a provider to add {signIn.username} to its team, or the operator to make a provider.</p>
      </Empty>
    );
  }
  if (error && !me) return <ErrorPage title="The studio cannot be shown" error={error} onRetry={refresh} />;
  if (!me) return <Loading what="Loading the studio" />;
  return <>{children(me)}</>;
}
