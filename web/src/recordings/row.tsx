// One recording: its name, what there is of it, and what can be done with it.

import { useEffect, useId, useRef, useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';

import { formatBytes, formatDateTime, formatLength } from '../kit/format';
import { api } from '../kit/portal';
import type { Recording, RecordingState, Replay } from '../kit/types';
import { SOURCE } from '../player/quality';
import { useAction } from '../ui/hooks';
import { Confirm, ErrorNotice } from '../ui/parts';
import { ReplayVideo } from './replay-video';
import { Shares } from './shares';

const STATES: Readonly<Record<RecordingState, PlainKey | null>> = {
  waiting: 'recording.waiting',
  recording: 'recording.recording',
  ready: null,
  empty: 'recording.empty',
};

type Panel = 'play' | 'share' | 'rename' | null;

function Rename({ recording, onDone }: { recording: Recording; onDone: () => void }) {
  const id = useId();
  const [name, setName] = useState(recording.name);
  const { busy, error, run } = useAction();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    input.current?.select();
  }, []);
  return (
    <form
      className="row row-start field"
      onSubmit={(event) => {
        event.preventDefault();
        void run(async () => {
          await api.changeRecording(recording.id, { name });
          onDone();
        });
      }}
    >
      <label htmlFor={id}>{t('common.name')}</label>
      <input
        ref={input}
        id={id}
        value={name}
        maxLength={200}
        required
        onChange={(event) => {
          setName(event.target.value);
        }}
      />
      <button type="submit" className="button button-primary" disabled={busy}>
        {t('common.save')}
      </button>
      {error && <ErrorNotice error={error} />}
    </form>
  );
}

function Meta({ recording }: { recording: Recording }) {
  const began = recording.began_at ?? recording.created_at;
  const state = STATES[recording.state];
  return (
    <p className="about-meta">
      {state && <span className={recording.state === 'recording' ? 'badge badge-live' : 'badge'}>{t(state)}</span>}
      <span>{recording.provider_name}</span>
      <time dateTime={began}>{formatDateTime(began)}</time>
      {recording.quality !== SOURCE && <span>{recording.quality}</span>}
      {recording.duration_s > 0 && <span>{formatLength(recording.duration_s)}</span>}
      {recording.bytes > 0 && <span>{formatBytes(recording.bytes)}</span>}
    </p>
  );
}

function Files({ replay }: { replay: Replay }) {
  return (
    <p className="row row-start">
      {replay.files.map((file) => (
        <a key={file.url} className="button" href={`${file.url}?name=${encodeURIComponent(file.name)}`} download>
          {replay.files.length > 1
            ? t('recording.downloadNamed', { name: file.name, size: formatBytes(file.bytes) })
            : t('recording.download', { size: formatBytes(file.bytes) })}
        </a>
      ))}
    </p>
  );
}

export function RecordingRow({ recording, onChange }: { recording: Recording; onChange: () => void }) {
  const id = useId();
  const [panel, setPanel] = useState<Panel>(null);
  const [replay, setReplay] = useState<Replay | null>(null);
  const [asking, setAsking] = useState(false);
  const rename = useRef<HTMLButtonElement>(null);
  const { busy, error, run } = useAction();
  const has = recording.duration_s > 0;
  const toggle = (one: Panel): void => {
    setPanel(panel === one ? null : one);
  };
  const play = (): void => {
    if (panel === 'play') {
      setPanel(null);
      return;
    }
    void run(async () => {
      setReplay(await api.replayRecording(recording.id));
      setPanel('play');
    });
  };
  const act = (what: () => Promise<unknown>): void => {
    void run(async () => {
      await what();
      onChange();
    });
  };
  const button = (label: string, onClick: () => void, pressed?: boolean, kind = '') => (
    <button
      ref={label === t('recording.rename') ? rename : undefined}
      type="button"
      className={`button button-small ${kind}`}
      disabled={busy}
      aria-expanded={pressed}
      aria-label={`${label}: ${recording.name}`}
      onClick={onClick}
    >
      {label}
    </button>
  );
  return (
    <li className="panel" aria-labelledby={id}>
      <div className="recording-head">
        <div>
          <h2 id={id}>{recording.name}</h2>
          <Meta recording={recording} />
        </div>
        <div className="row row-end">
          {has &&
            button(panel === 'play' ? t('common.close') : t('common.play'), play, panel === 'play', 'button-primary')}
          {recording.state === 'recording' &&
            button(t('common.stop'), () => {
              act(() => api.changeRecording(recording.id, { stop: true }));
            })}
          {button(
            t('recording.rename'),
            () => {
              toggle('rename');
            },
            panel === 'rename',
          )}
          {has &&
            button(
              t('share.share'),
              () => {
                toggle('share');
              },
              panel === 'share',
            )}
          {button(
            t('common.delete'),
            () => {
              setAsking(true);
            },
            undefined,
            'button-danger',
          )}
        </div>
      </div>
      {recording.problem !== '' && <p className="notice notice-warn">{recording.problem}</p>}
      {error && <ErrorNotice error={error} />}
      {panel === 'play' && replay && (
        <>
          <ReplayVideo replay={replay} begin="start" />
          <Files replay={replay} />
        </>
      )}
      {panel === 'share' && <Shares recordingId={recording.id} name={recording.name} />}
      {panel === 'rename' && (
        <Rename
          recording={recording}
          onDone={() => {
            setPanel(null);
            rename.current?.focus();
            onChange();
          }}
        />
      )}
      {asking && (
        <Confirm
          title={t('recording.deleteConfirm')}
          action={t('common.delete')}
          onConfirm={() => {
            act(() => api.deleteRecording(recording.id));
          }}
          onClose={() => {
            setAsking(false);
          }}
        >
          <p>{t('recording.deleteText', { name: recording.name })}</p>
        </Confirm>
      )}
    </li>
  );
}
