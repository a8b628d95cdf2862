// What viewers see of the event, small and without sound, while the provider works on it.

import { useEffect, useEffectEvent, useState } from 'react';
import { t } from '../i18n/t';

import type { LiveEvent } from '../kit/types';
import { createPlayer } from '../player/browser';
import { useSnapshot } from '../player/panel';
import { preferencesOf } from '../player/preferences';
import type { Player } from '../player/runner';
import { LivePicture } from '../ui/live-picture';

/** A player while the monitor is shown. Leaving the page closes its session. */
function useMonitor(event: LiveEvent, video: HTMLVideoElement | null): Player | null {
  const [player, setPlayer] = useState<Player | null>(null);
  const newest = useEffectEvent(() => event);
  useEffect(() => {
    if (video === null) return undefined;
    const created = createPlayer(event.id, video, preferencesOf(event.id, ''));
    const leave = (): void => {
      created.stop();
    };
    window.addEventListener('pagehide', leave);
    created.start(newest());
    setPlayer(created);
    return () => {
      window.removeEventListener('pagehide', leave);
      created.stop();
      setPlayer(null);
    };
  }, [event.id, video]);
  useEffect(() => {
    player?.update(event);
  }, [player, event]);
  return player;
}

function MonitorStatus({ player }: { player: Player }) {
  const { state, status } = useSnapshot(player);
  return state.phase === 'playing' ? null : <p>{status.text}</p>;
}

function Playing({ event }: { event: LiveEvent }) {
  const [video, setVideo] = useState<HTMLVideoElement | null>(null);
  const player = useMonitor(event, video);
  return (
    <div className="preview">
      <video ref={setVideo} autoPlay muted playsInline aria-label={t('monitor.video')} />
      {player && <MonitorStatus player={player} />}
    </div>
  );
}

/** The picture on air, as a player or as a still that counts as no viewer. */
export function Monitor({ event }: { event: LiveEvent }) {
  const [playing, setPlaying] = useState(true);
  return (
    <>
      {playing ? (
        <Playing event={event} />
      ) : (
        <div className="preview">
          <LivePicture event={event} />
        </div>
      )}
      <div className="row">
        <p className="quiet">{playing ? t('monitor.counts') : t('monitor.still')}</p>
        <button
          type="button"
          className="button button-small"
          onClick={() => {
            setPlaying(!playing);
          }}
        >
          {playing ? t('monitor.stop') : t('monitor.play')}
        </button>
      </div>
    </>
  );
}
