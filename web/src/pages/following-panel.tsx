// The providers that one follows, in the account.

import { useId } from 'react';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useAction, useLive } from '../ui/hooks';
import { Link } from '../ui/navigation';
import { ErrorNotice, Loading } from '../ui/parts';

const POLL_MS = 60_000;

export function FollowingPanel({ username }: { username: string }) {
  const id = useId();
  const { data, error, refresh } = useLive(`following ${username}`, api.following, ['provider'], POLL_MS);
  const action = useAction();
  return (
    <section className="panel" aria-labelledby={id} aria-busy={data === null}>
      <h2 id={id}>{t('following.heading')}</h2>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      {data === null && !error && <Loading what={t('following.loading')} />}
      {data?.length === 0 && <p className="quiet">{t('following.none')}</p>}
      {data !== null && data.length > 0 && (
        <ul className="devices" aria-label={t('following.heading')}>
          {data.map((one) => (
            <li key={one.provider_id} className="row">
              <Link to={to.provider(one.provider_id)}>{one.provider_name}</Link>
              <button
                type="button"
                className="button button-small"
                disabled={action.busy}
                aria-label={t('following.stopNamed', { name: one.provider_name })}
                onClick={() => {
                  void action.run(async () => {
                    await api.unfollow(one.provider_id);
                    refresh();
                  });
                }}
              >
                {t('following.stop')}
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
