// Plays a recording: a playlist of HLS by hls.js, with the browser's own controls.

import type Hls from 'hls.js';
import { useEffect, useRef, useState } from 'react';
import { t } from '../i18n/t';

import { formatLength } from '../kit/format';
import type { Replay } from '../kit/types';
import { recovery } from './recovery';

/** How far before the newest picture somebody begins who goes back from the live picture. */
const BACK_S = 20;

interface ReplayVideoProps {
  replay: Replay;
  /** Where to begin; a growing one may begin shortly before its end. */
  begin: 'start' | 'end' | number;
}

/** Small pictures of the recording, each of which leads to its place. */
function Scenes({ replay, onChoose }: { replay: Replay; onChoose: (atS: number) => void }) {
  return (
    <ul className="scenes plain-list" aria-label={t('replay.scenes')}>
      {replay.pictures.map((one) => (
        <li key={one.url}>
          <button
            type="button"
            aria-label={t('replay.goTo', { position: formatLength(one.at_s) })}
            onClick={() => {
              onChoose(one.at_s);
            }}
          >
            <img src={one.url} alt="" width={160} height={90} loading="lazy" />
            <span aria-hidden="true">{formatLength(one.at_s)}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

export function ReplayVideo({ replay, begin }: ReplayVideoProps) {
  const video = useRef<HTMLVideoElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const edgeS = begin === 'start' ? 0 : Math.max(0, replay.duration_s - BACK_S);
  const startS = typeof begin === 'number' ? Math.min(begin, replay.duration_s) : edgeS;

  // biome-ignore lint/correctness/useExhaustiveDependencies: a recording that grows does not begin again
  useEffect(() => {
    let hls: Hls | null = null;
    let closed = false;
    async function play(element: HTMLVideoElement): Promise<void> {
      const { default: Player } = await import('hls.js');
      if (closed) return;
      if (!Player.isSupported()) {
        setProblem(t('replay.unsupported'));
        return;
      }
      const created = new Player({ startPosition: startS, backBufferLength: 60 });
      hls = created;
      const onEnd = (forbidden: boolean) => {
        if (forbidden) created.stopLoad();
        setProblem(t(forbidden ? 'replay.forbidden' : 'replay.unreadable'));
      };
      const recover = recovery({ player: created, element, url: replay.url, startS, onEnd });
      created.on(Player.Events.ERROR, (_name, data) => {
        recover(data);
      });
      created.loadSource(replay.url);
      created.attachMedia(element);
      // A browser may refuse sound without a click; the controls are there.
      created.on(Player.Events.MANIFEST_PARSED, () => void element.play().catch(() => undefined));
    }
    if (video.current) {
      play(video.current).catch(() => {
        if (!closed) setProblem(t('replay.notLoaded'));
      });
    }
    return () => {
      closed = true;
      hls?.destroy();
    };
  }, [replay.url]);

  const seek = (atS: number): void => {
    if (video.current) video.current.currentTime = atS;
  };

  return (
    <div className="replay">
      {/* biome-ignore lint/a11y/useMediaCaption: captions come with the recording where there are some */}
      <video ref={video} controls playsInline aria-label={replay.title} data-testid="replay">
        {replay.captions_url !== null && (
          <track kind="captions" label={t('captions.captions')} src={replay.captions_url} />
        )}
      </video>
      {replay.pictures.length > 1 && <Scenes replay={replay} onChoose={seek} />}
      {problem !== null && (
        <p className="notice notice-bad" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}
