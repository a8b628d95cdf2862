// Goes back in an event that is on air, and shows one again that is over, where it is recorded for everybody.

import { useEffect, useEffectEvent, useState } from 'react';
import { t } from '../i18n/t';

import type { ApiError } from '../kit/api';
import { api } from '../kit/portal';
import type { LiveEvent, Replay } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';

const POLL_MS = 30_000;

export interface Replays {
  /** Whether the event is recorded for everybody. */
  isThere: boolean;
  /** What is shown instead of the live picture; null while that is shown. */
  shown: Replay | null;
  busy: boolean;
  error: ApiError | null;
  show: () => void;
  hide: () => void;
}

/** With `isWanted` it is shown as soon as it is there. */
export function useReplays(event: LiveEvent | null, isWanted = false): Replays {
  const key = event === null || event.state === 'cancelled' ? null : `replay policy ${event.id}`;
  const { data } = useLive(key, () => api.replayPolicy(event?.id ?? ''), ['event'], POLL_MS);
  const [shown, setShown] = useState<Replay | null>(null);
  const { busy, error, run, clear } = useAction();
  const isThere = data?.enabled ?? false;
  const show = useEffectEvent(() => {
    if (event) void run(async () => setShown(await api.replayEvent(event.id)));
  });
  useEffect(() => {
    if (isWanted && isThere) show();
  }, [isWanted, isThere]);
  return {
    isThere,
    shown,
    busy,
    error,
    show: () => {
      if (event) void run(async () => setShown(await api.replayEvent(event.id)));
    },
    hide: () => {
      clear();
      setShown(null);
    },
  };
}

/** The way to a recording, where there is one. */
export function GoBack({ event, replays }: { event: LiveEvent; replays: Replays }) {
  const isOver = event.state === 'ended';
  if (!replays.isThere || replays.shown || !(isOver || event.state === 'live')) return null;
  return (
    <>
      <button type="button" className="button button-small" disabled={replays.busy} onClick={replays.show}>
        {isOver ? t('replay.watch') : t('replay.rewind')}
      </button>
      {replays.error && <ErrorNotice error={replays.error} />}
    </>
  );
}

/** The way back to the live picture. */
export function BackToLive({ event, replays }: { event: LiveEvent; replays: Replays }) {
  const isLive = event.state === 'live';
  return (
    <div className="row row-start">
      <p className="status status-quiet" role="status">
        <span className="status-dot" aria-hidden="true" />
        {isLive ? t('replay.youWatchLive') : t('replay.youWatch')}
      </p>
      {isLive && (
        <button type="button" className="button button-small button-primary" onClick={replays.hide}>
          {t('replay.backToLive')}
        </button>
      )}
    </div>
  );
}
