// The picture and its controls: mute, volume, pause, picture-in-picture, fullscreen, keys.

import { type RefObject, useEffect, useEffectEvent, useRef, useState } from 'react';
import { CaptionLines } from '../captions/lines';
import { type Captions, useCaptions } from '../captions/use-captions';
import { t } from '../i18n/t';
import { formatDistance } from '../kit/format';
import type { LiveEvent } from '../kit/types';
import { EventPoster } from '../ui/event-poster';
import { useNow } from '../ui/hooks';
import { Icon, type IconName } from '../ui/icons';
import type { Phase } from './model';
import { useSnapshot } from './panel';
import type { Player } from './runner';

const VOLUME_STEP = 0.1;
const IDLE_MS = 3000;

interface Sound {
  muted: boolean;
  volume: number;
}

/** The sound state of the video element, whatever changes it. */
function useSound(video: HTMLVideoElement | null): Sound {
  const [sound, setSound] = useState<Sound>({ muted: true, volume: 1 });
  useEffect(() => {
    if (!video) return undefined;
    const read = (): void => {
      setSound({ muted: video.muted || video.volume === 0, volume: video.volume });
    };
    read();
    video.addEventListener('volumechange', read);
    return () => {
      video.removeEventListener('volumechange', read);
    };
  }, [video]);
  return sound;
}

function useFullscreen(stage: RefObject<HTMLDivElement | null>): boolean {
  const [full, setFull] = useState(false);
  useEffect(() => {
    const read = (): void => {
      setFull(document.fullscreenElement !== null && document.fullscreenElement === stage.current);
    };
    document.addEventListener('fullscreenchange', read);
    return () => {
      document.removeEventListener('fullscreenchange', read);
    };
  }, [stage]);
  return full;
}

/** Hides the controls after a while without the pointer or the keyboard. */
function useIdle(stage: RefObject<HTMLDivElement | null>): boolean {
  const [idle, setIdle] = useState(false);
  useEffect(() => {
    const element = stage.current;
    if (!element) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const wake = (): void => {
      setIdle(false);
      clearTimeout(timer);
      timer = setTimeout(() => {
        setIdle(true);
      }, IDLE_MS);
    };
    wake();
    const events = ['pointermove', 'pointerdown', 'keydown', 'focusin'] as const;
    for (const event of events) element.addEventListener(event, wake);
    return () => {
      clearTimeout(timer);
      for (const event of events) element.removeEventListener(event, wake);
    };
  }, [stage]);
  return idle;
}

// From the element, which is current before React renders again.
function toggleMuted(video: HTMLVideoElement): void {
  setMuted(video, !(video.muted || video.volume === 0));
}

function setMuted(video: HTMLVideoElement, muted: boolean): void {
  video.muted = muted;
  if (!muted && video.volume === 0) video.volume = 0.5;
}

function changeVolume(video: HTMLVideoElement, by: number): void {
  video.volume = Math.min(1, Math.max(0, video.volume + by));
  if (by > 0) video.muted = false;
}

function toggleFullscreen(stage: HTMLDivElement | null): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void stage?.requestFullscreen().catch(() => undefined);
}

async function togglePip(video: HTMLVideoElement): Promise<void> {
  if (document.pictureInPictureElement) await document.exitPictureInPicture();
  else await video.requestPictureInPicture();
}

function togglePause(video: HTMLVideoElement, player: Player): void {
  if (player.get().state.paused) {
    player.send({ type: 'resume' });
    // Live: go on from now, not from where it was stopped.
    if (video.seekable.length > 0 && video.srcObject === null) {
      video.currentTime = Math.max(0, video.seekable.end(video.seekable.length - 1) - 1);
    }
    void video.play().catch(() => undefined);
  } else {
    player.send({ type: 'pause' });
    video.pause();
  }
}

function ControlButton({
  icon,
  label,
  onClick,
  pressed,
}: {
  icon: IconName;
  label: string;
  onClick: () => void;
  pressed?: boolean;
}) {
  return (
    <button type="button" className="control" aria-label={label} title={label} aria-pressed={pressed} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

interface StageProps {
  event: LiveEvent;
  player: Player | null;
  video: HTMLVideoElement | null;
  onVideo: (video: HTMLVideoElement | null) => void;
}

/** Starts playback again, unless the viewer paused, because browsers stop at each new source. */
function useAutoplay(video: HTMLVideoElement | null, player: Player | null): void {
  useEffect(() => {
    if (!video || !player) return undefined;
    const go = (): void => {
      if (!player.get().state.paused) void video.play().catch(() => undefined);
    };
    video.addEventListener('loadedmetadata', go);
    video.addEventListener('canplay', go);
    return () => {
      video.removeEventListener('loadedmetadata', go);
      video.removeEventListener('canplay', go);
    };
  }, [video, player]);
}

function Overlay({ player, event }: { player: Player; event: LiveEvent }) {
  const { state, status } = useSnapshot(player);
  const nowMs = useNow();
  if (state.phase === 'playing') return null;
  // The poster is shown until the first picture; later the last picture stays, dimmed.
  return (
    <div className={state.played && state.phase !== 'over' ? 'overlay overlay-dim' : 'overlay'}>
      {(!state.played || state.phase === 'over') && <EventPoster event={event} />}
      <p className="overlay-text" aria-hidden="true">
        {status.mood === 'busy' && <span className="spinner" />}
        {state.phase === 'early'
          ? t('player.starts', { distance: formatDistance(event.starts_at, nowMs) })
          : status.text}
      </p>
    </div>
  );
}

const KEYS: Readonly<Record<string, 'pause' | 'mute' | 'full' | 'captions' | 'up' | 'down'>> = {
  ' ': 'pause',
  k: 'pause',
  m: 'mute',
  f: 'full',
  c: 'captions',
  ArrowUp: 'up',
  ArrowDown: 'down',
};

/** Whether the target uses the key itself; elsewhere on the page keys control the player. */
function takesKeys(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest('input, select, textarea, dialog') !== null) return true;
  return key === ' ' && target.closest('button, a, summary') !== null;
}

export function Stage({ event, player, video, onVideo }: StageProps) {
  const stage = useRef<HTMLDivElement>(null);
  const sound = useSound(video);
  const full = useFullscreen(stage);
  const idle = useIdle(stage);
  const captions = useCaptions(event.id, event.state === 'live', player);
  useAutoplay(video, player);

  const onKey = useEffectEvent((key: KeyboardEvent) => {
    const meaning = KEYS[key.key.length === 1 ? key.key.toLowerCase() : key.key];
    const other = key.ctrlKey || key.metaKey || key.altKey || takesKeys(key.target, key.key);
    if (!meaning || !video || !player || other) return;
    key.preventDefault();
    const act = {
      pause: () => {
        togglePause(video, player);
      },
      mute: () => {
        toggleMuted(video);
      },
      full: () => {
        toggleFullscreen(stage.current);
      },
      captions: () => {
        captions.toggle();
      },
      up: () => {
        changeVolume(video, VOLUME_STEP);
      },
      down: () => {
        changeVolume(video, -VOLUME_STEP);
      },
    };
    act[meaning]();
  });
  useEffect(() => {
    const listen = (key: KeyboardEvent): void => {
      onKey(key);
    };
    document.addEventListener('keydown', listen);
    return () => {
      document.removeEventListener('keydown', listen);
    };
  }, []);

  return (
    <div ref={stage} className={idle ? 'stage stage-idle' : 'stage'}>
      <video ref={onVideo} autoPlay muted playsInline aria-label={t('player.liveVideo', { title: event.title })} />
      {player ? <Overlay player={player} event={event} /> : <EventPoster event={event} />}
      <CaptionLines captions={captions} />
      {player && video && (
        <Controls player={player} video={video} stage={stage} sound={sound} full={full} captions={captions} />
      )}
    </div>
  );
}

interface ControlsProps {
  player: Player;
  video: HTMLVideoElement;
  stage: RefObject<HTMLDivElement | null>;
  sound: Sound;
  full: boolean;
  captions: Captions;
}

const NOTHING_TO_CONTROL: readonly Phase[] = ['early', 'over', 'missing'];

function Controls({ player, video, stage, sound, full, captions }: ControlsProps) {
  const { phase, paused } = useSnapshot(player).state;
  const playing = phase === 'playing';
  if (NOTHING_TO_CONTROL.includes(phase)) return null;
  return (
    <>
      {playing && sound.muted && !paused && (
        <button
          type="button"
          className="unmute"
          onClick={() => {
            setMuted(video, false);
          }}
        >
          <Icon name="muted" /> {t('player.unmute')}
        </button>
      )}
      <fieldset className="controls" aria-label={t('player.controls')}>
        <ControlButton
          icon={paused ? 'play' : 'pause'}
          label={paused ? t('player.play') : t('player.pause')}
          onClick={() => {
            togglePause(video, player);
          }}
        />
        <ControlButton
          icon={sound.muted ? 'muted' : 'volume'}
          label={sound.muted ? t('player.unmuteKey') : t('player.muteKey')}
          onClick={() => {
            toggleMuted(video);
          }}
        />
        <input
          className="volume"
          type="range"
          aria-label={t('player.volume')}
          min="0"
          max="1"
          step="0.05"
          value={sound.muted ? 0 : sound.volume}
          onChange={(change) => {
            video.volume = Number(change.target.value);
            video.muted = video.volume === 0;
          }}
        />
        <span className={playing && !paused ? 'live-tag live-tag-on' : 'live-tag'}>{t('state.live')}</span>
        <span className="spring" />
        {captions.language !== null && (
          <ControlButton
            icon="captions"
            label={captions.isOn ? t('player.hideCaptions') : t('player.showCaptions')}
            pressed={captions.isOn}
            onClick={captions.toggle}
          />
        )}
        {document.pictureInPictureEnabled && (
          <ControlButton
            icon="pip"
            label={t('player.pip')}
            onClick={() => void togglePip(video).catch(() => undefined)}
          />
        )}
        <ControlButton
          icon={full ? 'leaveFullscreen' : 'fullscreen'}
          label={full ? t('player.exitFullscreen') : t('player.fullscreen')}
          onClick={() => {
            toggleFullscreen(stage.current);
          }}
        />
      </fieldset>
    </>
  );
}
