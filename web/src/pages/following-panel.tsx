// The providers that one follows, in the account.

import { useId } from 'react';

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
      <h2 id={id}>Providers you follow</h2>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      {data === null && !error && <Loading what="Loading whom you follow" />}
      {data?.length === 0 && (
        <p className="quiet">None yet. Follow one on its page, and you hear when an event of it goes live.</p>
      )}
      {data !== null && data.length > 0 && (
        <ul className="devices" aria-label="Providers you follow">
          {data.map((one) => (
            <li key={one.provider_id} className="row">
              <Link to={to.provider(one.provider_id)}>{one.provider_name}</Link>
              <button
                type="button"
                className="button button-small"
                disabled={action.busy}
                aria-label={`Stop following ${one.provider_name}`}
                onClick={() => {
                  void action.run(async () => {
                    await api.unfollow(one.provider_id);
                    refresh();
                  });
                }}
              >
                Stop following
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
