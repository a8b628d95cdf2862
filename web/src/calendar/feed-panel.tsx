// The address under which a calendar program reads one's reservations.

import { useState } from 'react';

import { formatDateTime } from '../kit/format';
import { api } from '../kit/portal';
import { useAction, useLive } from '../ui/hooks';
import { CopyField, ErrorNotice } from '../ui/parts';

const POLL_MS = 60_000;

export function FeedPanel({ username }: { username: string }) {
  const { data, error, refresh } = useLive(`feed ${username}`, api.calendarFeed, [], POLL_MS);
  const [url, setUrl] = useState<string | null>(null);
  const action = useAction();
  const act = (what: () => Promise<string | null>): void => {
    void action.run(async () => {
      setUrl(await what());
      refresh();
    });
  };
  const since = data?.created_at ?? null;
  return (
    <section className="panel" aria-labelledby="feed-heading">
      <h2 id="feed-heading">In your calendar program</h2>
      <p className="quiet">
        Subscribe to an address, and your reservations are there, too. Anyone who has the address can read them.
        {since !== null && ` You have one since ${formatDateTime(since)}; it is shown only when it is made.`}
      </p>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      {url !== null && <CopyField label="Calendar address" value={url} />}
      <div className="row row-start">
        <button
          type="button"
          className="button"
          disabled={action.busy || !data}
          onClick={() => {
            act(async () => (await api.makeCalendarFeed()).url);
          }}
        >
          {since === null ? 'Create an address' : 'Replace the address'}
        </button>
        {since !== null && (
          <button
            type="button"
            className="button button-danger"
            disabled={action.busy}
            onClick={() => {
              act(async () => {
                await api.revokeCalendarFeed();
                return null;
              });
            }}
          >
            Revoke the address
          </button>
        )}
      </div>
    </section>
  );
}
