// Links to a recording for people without an account.

import { useEffect, useRef, useState } from 'react';
import { t } from '../i18n/t';

import { formatDateTime } from '../kit/format';
import { api } from '../kit/portal';
import { useAction, useLive } from '../ui/hooks';
import { CopyField, ErrorNotice } from '../ui/parts';

const POLL_MS = 60_000;
const DAY_S = 86_400;
const LENGTHS = [
  { seconds: DAY_S, key: 'lead.days', count: 1 },
  { seconds: 7 * DAY_S, key: 'lead.weeks', count: 1 },
  { seconds: 30 * DAY_S, key: 'lead.days', count: 30 },
  { seconds: 365 * DAY_S, key: 'lead.years', count: 1 },
] as const;

export function Shares({ recordingId, name }: { recordingId: string; name: string }) {
  const { data, error, refresh } = useLive(`shares ${recordingId}`, () => api.shares(recordingId), [], POLL_MS);
  const [seconds, setSeconds] = useState<number>(LENGTHS[1].seconds);
  const [url, setUrl] = useState<string | null>(null);
  const action = useAction();
  const section = useRef<HTMLElement>(null);
  useEffect(() => {
    if (url !== null) section.current?.querySelector('input')?.focus();
  }, [url]);
  const act = (what: () => Promise<void>): void => {
    void action.run(async () => {
      await what();
      refresh();
    });
  };
  return (
    <section ref={section} className="stack" aria-label={t('shares.of', { name })}>
      <p className="quiet">{t('shares.about')}</p>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      {url !== null && <CopyField label={t('shares.link')} value={url} />}
      <div className="row row-start">
        <label className="share-length choose">
          {t('shares.worksFor')}{' '}
          <select
            value={seconds}
            onChange={(event) => {
              setSeconds(Number(event.target.value));
            }}
          >
            {LENGTHS.map((one) => (
              <option key={one.seconds} value={one.seconds}>
                {t(one.key, { count: one.count })}
              </option>
            ))}
          </select>
        </label>
        <button
          type="button"
          className="button"
          disabled={action.busy}
          onClick={() => {
            act(async () => {
              setUrl((await api.share(recordingId, seconds)).url);
            });
          }}
        >
          {t('shares.create')}
        </button>
      </div>
      {data !== null && data.length > 0 && (
        <ul className="plain-list">
          {data.map((one) => (
            <li key={one.id} className="row">
              <span>{t('shares.until', { time: formatDateTime(one.expires_at) })}</span>
              <button
                type="button"
                className="button button-small button-danger"
                disabled={action.busy}
                onClick={() => {
                  act(() => api.revokeShare(recordingId, one.id));
                }}
              >
                {t('shares.revoke')}
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
