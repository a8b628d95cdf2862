// Records the event that is on air for the signed-in viewer, and stops that.

import { type ReactNode, useState } from 'react';
import { t } from '../i18n/t';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { LiveEvent, Recording } from '../kit/types';
import { SOURCE, VP8 } from '../player/quality';
import { qualityName } from '../player/quality-names';
import { useAction, useLive, useSignIn } from '../ui/hooks';
import { Link } from '../ui/navigation';
import { ErrorNotice } from '../ui/parts';

const POLL_MS = 10_000;

/** Browsers without H.264 watch VP8; it is not recorded. */
const recordable = (event: LiveEvent): readonly string[] =>
  (event.stream?.qualities ?? []).filter((quality) => quality !== VP8);

interface QualityProps {
  event: LiveEvent;
  chosen: string;
  onChoose: (quality: string) => void;
}

/** Nothing, where there is nothing to choose. */
function QualityOfRecording({ event, chosen, onChoose }: QualityProps) {
  const offered = recordable(event);
  if (offered.length < 2) return null;
  return (
    <select
      aria-label={t('record.quality')}
      value={chosen}
      onChange={(change) => {
        onChoose(change.target.value);
      }}
    >
      {offered.map((quality) => (
        <option key={quality} value={quality}>
          {qualityName(quality, event.stream?.height ?? 0)}
        </option>
      ))}
    </select>
  );
}

interface StartProps {
  event: LiveEvent;
  canGoBack: boolean;
  button: (label: string, what: () => Promise<unknown>) => ReactNode;
}

/** What there is of another quality begins with who asks for it first, so only the source's has a start to go back to. */
function Start({ event, canGoBack, button }: StartProps) {
  const [wanted, setWanted] = useState(SOURCE);
  if (event.state === 'ended') return button(t('record.copy'), () => api.record(event.id, 'start', SOURCE));
  const quality = recordable(event).includes(wanted) ? wanted : SOURCE;
  return (
    <>
      <QualityOfRecording event={event} chosen={quality} onChoose={setWanted} />
      {button(t('record.now'), () => api.record(event.id, 'now', quality))}
      {canGoBack && quality === SOURCE && button(t('record.start'), () => api.record(event.id, 'start', SOURCE))}
    </>
  );
}

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
      {!growing && <Start event={event} canGoBack={canGoBack} button={button} />}
      {growing && button(t('record.stop'), () => api.changeRecording(growing.id, { stop: true }))}
      {mine.length > 0 && (
        <Link to={to.recordings}>{mine.some(isGrowing) ? t('record.growing') : t('record.there')}</Link>
      )}
      {error && <ErrorNotice error={error} />}
    </div>
  );
}
