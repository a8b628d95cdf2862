// Follows a provider: a button that is pressed while one does. Who follows hears of events that go live.

import { t } from '../i18n/t';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useAction, useLive, useSignIn } from './hooks';
import { Link } from './navigation';
import { ErrorNotice } from './parts';

const POLL_MS = 300_000;

export function Follow({ providerId, name }: { providerId: string; name: string }) {
  const username = useSignIn()?.username ?? null;
  const { data, refresh } = useLive(username && `following ${username}`, api.following, [], POLL_MS);
  const { busy, error, run } = useAction();
  if (username === null) {
    return (
      <Link to={to.account} className="button button-small">
        {t('follow.signIn')}
      </Link>
    );
  }
  const isOn = data?.some((one) => one.provider_id === providerId) ?? false;
  return (
    <>
      <button
        type="button"
        className="chip"
        aria-pressed={isOn}
        aria-label={t('follow.named', { name })}
        title={t('follow.about')}
        disabled={busy || data === null}
        onClick={() => {
          void run(async () => {
            if (isOn) await api.unfollow(providerId);
            else await api.follow(providerId);
            refresh();
          });
        }}
      >
        {isOn ? (
          <>
            <span aria-hidden="true">✓ </span>
            {t('follow.on')}
          </>
        ) : (
          t('follow.follow')
        )}
      </button>
      {error && <ErrorNotice error={error} />}
    </>
  );
}
