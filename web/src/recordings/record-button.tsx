// Records the event that is on air for the signed-in viewer, and stops that.

import { t } from '../i18n/t';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { LiveEvent, Recording } from '../kit/types';
import { useAction, useLive, useSignIn } from '../ui/hooks';
import { Link } from '../ui/navigation';
import { ErrorNotice } from '../ui/parts';

const POLL_MS = 10_000;

/** `canGoBack`: there is a recording for everybody, so that one's own may begin where that does. */
export function RecordButton({ event, canGoBack }: { event: LiveEvent; canGoBack: boolean }) {
  const username = useSignIn()?.username ?? null;
  const isOnAir = event.state === 'open' || event.state === 'live';
  const isOver = event.state === 'ended' && canGoBack;
  const key = username !== null && (isOnAir || isOver) ? `recordings ${username}` : null;
  const { data, refresh } = useLive(key, api.recordings, ['event'], POLL_MS);
  const { busy, error, run } = useAction();
  if (key === null || !data) return null;
  const mine = data.recordings.filter((one) => one.event_id === event.id);
  const isGrowing = (one: Recording): boolean => one.state === 'recording' || one.state === 'waiting';
  // A reserved one is whole in any case: somebody may still want to begin here.
  const growing = mine.find((one) => isGrowing(one) && !one.reserved);
  const act = (what: () => Promise<unknown>): void => {
    void run(async () => {
      await what();
      refresh();
    });
  };
  const button = (label: string, what: () => Promise<unknown>) => (
    <button
      type="button"
      className="button button-small"
      disabled={busy}
      onClick={() => {
        act(what);
      }}
    >
      {label}
    </button>
  );
  return (
    <div className="row row-start">
      {isOnAir && !growing && button(t('record.now'), () => api.record(event.id, 'now'))}
      {canGoBack &&
        !growing &&
        button(isOver ? t('record.copy') : t('record.start'), () => api.record(event.id, 'start'))}
      {growing && button(t('record.stop'), () => api.changeRecording(growing.id, { stop: true }))}
      {mine.length > 0 && (
        <Link to={to.recordings}>{mine.some(isGrowing) ? t('record.growing') : t('record.there')}</Link>
      )}
      {error && <ErrorNotice error={error} />}
    </div>
  );
}
