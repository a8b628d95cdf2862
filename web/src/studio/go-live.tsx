// Camera or screen of this computer, previewed here and published by WHIP.

import { useCallback, useEffect, useRef, useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';
import { asApiError } from '../kit/api';
import { errorText } from '../kit/error-text';
import { formatMbps } from '../kit/format';
import { api } from '../kit/portal';
import type { Ingest } from '../kit/types';
import { DeviceFields } from './device-fields';
import {
  type Choices,
  cameraConstraints,
  microphoneConstraints,
  NO_CHOICE,
  type Source,
  screenConstraints,
} from './devices';
import { LevelMeter } from './level-meter';
import { type OnAir, Publisher } from './publisher';

const CAUSES: Readonly<Record<string, PlainKey>> = {
  NotAllowedError: 'live.notAllowed',
  NotFoundError: 'live.notFound',
  OverconstrainedError: 'live.notThere',
  NotReadableError: 'live.inUse',
};

export function causeOf(error: unknown): string {
  const cause = error instanceof DOMException ? CAUSES[error.name] : undefined;
  return t(cause ?? 'live.failed');
}

async function openSource(source: Source, choices: Choices): Promise<MediaStream> {
  // Absent where the page did not come over HTTPS or from this very machine.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (!devices) throw new Error('insecure');
  if (source === 'camera') return devices.getUserMedia(cameraConstraints(choices));
  const screen = await devices.getDisplayMedia(screenConstraints(choices));
  if (choices.withMicrophone) {
    const sound = await devices.getUserMedia(microphoneConstraints(choices)).catch((error: unknown) => {
      for (const track of screen.getTracks()) track.stop();
      throw error;
    });
    for (const track of sound.getAudioTracks()) screen.addTrack(track);
  }
  return screen;
}

function statusText(onAir: OnAir): string {
  switch (onAir.state) {
    case 'off':
      return t('live.off');
    case 'connecting':
      return onAir.attempt === 0 ? t('live.connecting') : t('live.reconnecting', { attempt: onAir.attempt });
    case 'on':
      return [t('live.onAir'), onAir.codec, onAir.mbps === null ? null : formatMbps(onAir.mbps)]
        .filter(Boolean)
        .join(' · ');
    case 'waiting':
      return t('live.tryingAgain', { reason: onAir.message, attempt: onAir.attempt });
    case 'refused':
      return onAir.message;
  }
}

const MOODS: Readonly<Record<OnAir['state'], string>> = {
  off: 'quiet',
  connecting: 'busy',
  on: 'live',
  waiting: 'busy',
  refused: 'bad',
};

interface GoLiveProps {
  eventId: string;
  ingest: Ingest | null;
  streamKey: string | null;
  onIngest: (ingest: Ingest) => void;
  onKey: (key: string) => void;
}

export function GoLive({ eventId, ingest, streamKey, onIngest, onKey }: GoLiveProps) {
  const preview = useRef<HTMLVideoElement>(null);
  const publisher = useRef<Publisher | null>(null);
  const [stream, setStream] = useState<MediaStream | null>(null);
  const [source, setSource] = useState<Source | null>(null);
  const [choices, setChoices] = useState(NO_CHOICE);
  const [typedKey, setTypedKey] = useState('');
  const [needsKey, setNeedsKey] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const [onAir, setOnAir] = useState<OnAir>({ state: 'off' });
  const busy = onAir.state === 'connecting' || onAir.state === 'on' || onAir.state === 'waiting';

  useEffect(() => {
    if (preview.current) preview.current.srcObject = stream;
    return () => {
      for (const track of stream?.getTracks() ?? []) track.stop();
    };
  }, [stream]);

  const stop = useCallback((): void => {
    publisher.current?.stop();
    publisher.current = null;
  }, []);
  useEffect(() => {
    window.addEventListener('pagehide', stop);
    return () => {
      window.removeEventListener('pagehide', stop);
      stop();
    };
  }, [stop]);

  /** Answers whether it is shown, and on air where the one before was. */
  async function open(wanted: Source, by: Choices = choices): Promise<boolean> {
    setFault(null);
    try {
      const opened = await openSource(wanted, by);
      await publisher.current?.replace(opened).catch((error: unknown) => {
        for (const track of opened.getTracks()) track.stop();
        throw error;
      });
      for (const track of opened.getVideoTracks()) {
        // The browser's own "stop sharing" ends the show too.
        track.addEventListener('ended', () => {
          stop();
          setStream((shown) => (shown === opened ? null : shown));
        });
      }
      setStream(opened);
      setSource(wanted);
      return true;
    } catch (error) {
      setFault(error instanceof Error && error.message === 'insecure' ? t('live.insecure') : causeOf(error));
      return false;
    }
  }

  function change(changed: Choices): void {
    const isOther = changed.camera !== choices.camera || changed.microphone !== choices.microphone;
    setChoices(changed);
    // A screen is chosen in the browser's own window: it is not asked for again by itself.
    if (!isOther || source !== 'camera') return;
    void open('camera', changed).then((isShown) => {
      // The devices of before go on.
      if (!isShown) setChoices(choices);
    });
  }

  async function goLive(shown: MediaStream): Promise<void> {
    setFault(null);
    try {
      const where = ingest ?? (await api.ingest(eventId));
      if (where.stream_key !== null && where !== ingest) onKey(where.stream_key);
      if (ingest === null) onIngest(where);
      if (where.whip === null) {
        setFault(t('live.noWhip'));
        return;
      }
      const key = streamKey ?? where.stream_key ?? typedKey.trim();
      if (key === '') {
        setNeedsKey(true);
        return;
      }
      const started = new Publisher(where.whip, key, shown, setOnAir);
      publisher.current = started;
      void started.run();
    } catch (error) {
      setFault(errorText(asApiError(error)));
    }
  }

  return (
    <section className="panel go-live" aria-label={t('live.form')}>
      <h2>{t('live.heading')}</h2>
      <div className="preview">
        <video ref={preview} autoPlay muted playsInline aria-label={t('live.preview')} />
        {!stream && <p>{t('live.previewNote')}</p>}
      </div>
      {stream && <LevelMeter stream={stream} />}
      <DeviceFields
        stream={stream}
        choices={choices}
        disabled={busy && source !== 'camera'}
        isOnAir={busy}
        onChange={change}
      />
      <p className={`status status-${MOODS[onAir.state]}`} role="status">
        <span className="status-dot" aria-hidden="true" />
        <span data-testid="on-air">{statusText(onAir)}</span>
      </p>
      {fault !== null && (
        <p className="notice notice-bad" role="alert">
          {fault}
        </p>
      )}
      {needsKey && streamKey === null && !busy && (
        <div className="field">
          <label htmlFor="stream-key">{t('key.key')}</label>
          <input
            id="stream-key"
            type="password"
            autoComplete="off"
            value={typedKey}
            onChange={(event) => {
              setTypedKey(event.target.value);
            }}
          />
          <small className="quiet">{t('key.paste', { button: t('key.new') })}</small>
        </div>
      )}
      <div className="row row-start">
        {stream && !busy && (
          <button type="button" className="button button-primary" onClick={() => void goLive(stream)}>
            {t('live.goLive')}
          </button>
        )}
        {busy && (
          <button type="button" className="button button-danger" onClick={stop}>
            {t('common.stop')}
          </button>
        )}
        {!busy && (
          <>
            <button
              type="button"
              className={stream ? 'button' : 'button button-primary'}
              onClick={() => void open('camera')}
            >
              {t('live.useCamera')}
            </button>
            <button type="button" className="button" onClick={() => void open('screen')}>
              {t('live.shareScreen')}
            </button>
          </>
        )}
      </div>
    </section>
  );
}
