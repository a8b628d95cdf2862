// The address under which a calendar program reads one's reservations.

import { useState } from 'react';
import { t } from '../i18n/t';

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
      <h2 id="feed-heading">{t('feed.heading')}</h2>
      <p className="quiet">
        {t('feed.about')}
        {since !== null && ` ${t('feed.since', { time: formatDateTime(since) })}`}
      </p>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      {url !== null && <CopyField label={t('feed.address')} value={url} />}
      <div className="row row-start">
        <button
          type="button"
          className="button"
          disabled={action.busy || !data}
          onClick={() => {
            act(async () => (await api.makeCalendarFeed()).url);
          }}
        >
          {since === null ? t('feed.create') : t('feed.replace')}
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
            {t('feed.revoke')}
          </button>
        )}
      </div>
    </section>
  );
}
