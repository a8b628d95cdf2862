// A recorded file as an event's source: upload, choose, start, see the position, stop.

import { useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';

import { ApiError } from '../kit/api';
import { formatPosition } from '../kit/format';
import { api } from '../kit/portal';
import type { LiveEvent, Playout, ProviderFile } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';
import { FileCards } from './file-cards';
import { UploadFile } from './upload-file';

const POLL_MS = 2000;

function about(file: ProviderFile): string {
  if (file.state === 'uploading') return t('file.incomplete', { name: file.name });
  if (file.state === 'checking') return t('file.checking', { name: file.name });
  if (file.state === 'refused') return t('file.refused', { name: file.name });
  const codecs = [file.video, file.audio].filter((name) => name !== '').join(', ');
  return `${file.name} (${formatPosition(file.duration_s)}, ${codecs})`;
}

const STATES: Readonly<Record<string, PlainKey>> = {
  waiting: 'playout.waiting',
  playing: 'playout.playing',
  stopped: 'playout.stopped',
  ended: 'playout.ended',
  failed: 'playout.failed',
};

/** The event's playout; null where it streams no file. */
async function loadPlayout(eventId: string): Promise<Playout | null> {
  try {
    return await api.playout(eventId);
  } catch (error) {
    if (error instanceof ApiError && error.code === 'umbel.no_playout') return null;
    throw error;
  }
}

interface ControlsProps {
  event: LiveEvent;
  playout: Playout;
  onChange: () => void;
}

function Controls({ event, playout, onChange }: ControlsProps) {
  const { busy, error, run } = useAction();
  const act = (what: () => Promise<unknown>): void => {
    void run(async () => {
      await what();
      onChange();
    });
  };
  const state = STATES[playout.state];
  const playing = playout.state === 'playing';
  const resumes = playout.state === 'stopped' && playout.position_s > 0;
  return (
    <>
      <p role="status">
        {t('playout.status', {
          state: state ? t(state) : playout.state,
          file: playout.file_name,
          position: formatPosition(playout.position_s),
          duration: formatPosition(playout.duration_s),
        })}
      </p>
      {playout.problem !== '' && playing && <p className="notice notice-warn">{playout.problem}</p>}
      <div className="row row-start">
        {playing ? (
          <button
            type="button"
            className="button"
            disabled={busy}
            onClick={() => {
              act(() => api.stopPlayout(event.id));
            }}
          >
            {t('playout.stop')}
          </button>
        ) : (
          <button
            type="button"
            className="button button-primary"
            disabled={busy}
            onClick={() => {
              act(() => api.startPlayout(event.id, null));
            }}
          >
            {resumes ? t('playout.goOn') : t('playout.startNow')}
          </button>
        )}
        {resumes && (
          <button
            type="button"
            className="button"
            disabled={busy}
            onClick={() => {
              act(() => api.startPlayout(event.id, 0));
            }}
          >
            {t('playout.fromStart')}
          </button>
        )}
      </div>
      {error && <ErrorNotice error={error} />}
    </>
  );
}

export function PlayoutCard({ event }: { event: LiveEvent }) {
  const files = useLive(`files ${event.provider_id}`, () => api.files(event.provider_id), [], POLL_MS);
  const playout = useLive(`playout ${event.id}`, () => loadPlayout(event.id), [], POLL_MS);
  const [chosen, setChosen] = useState('');
  const [onSchedule, setOnSchedule] = useState(event.state === 'scheduled');
  const [loop, setLoop] = useState(false);
  const [endsEvent, setEndsEvent] = useState(false);
  const { busy, error, run } = useAction();
  const known = files.data ?? [];
  const fileId = chosen === '' ? (playout.data?.file_id ?? '') : chosen;
  const refused = known.find((file) => file.id === fileId && file.state === 'refused');
  const choose = (): Promise<void> =>
    run(async () => {
      await api.setPlayout(event.id, { file_id: fileId, on_schedule: onSchedule, loop, ends_event: endsEvent });
      playout.refresh();
    });
  const options = [
    ['playout.onSchedule', onSchedule, setOnSchedule],
    ['playout.repeat', loop, setLoop],
    ['playout.endsEvent', endsEvent, setEndsEvent],
  ] as const;
  return (
    <section className="panel stack" aria-label={t('playout.heading')}>
      <h2>{t('playout.heading')}</h2>
      <p className="quiet">{t('playout.about')}</p>
      <UploadFile
        providerId={event.provider_id}
        onUploaded={(id) => {
          setChosen(id);
          files.refresh();
        }}
      />
      {known.length > 0 && (
        <>
          <label className="field">
            <span>{t('playout.file')}</span>
            <select
              value={fileId}
              onChange={(change) => {
                setChosen(change.target.value);
              }}
            >
              <option value="">{t('playout.choose')}</option>
              {known.map((file) => (
                <option key={file.id} value={file.id} disabled={file.state !== 'ready' && file.id !== fileId}>
                  {about(file)}
                </option>
              ))}
            </select>
          </label>
          {refused && <p className="notice notice-bad">{refused.problem}</p>}
          {options.map(([label, value, set]) => (
            <label key={label} className="tick">
              <input
                type="checkbox"
                checked={value}
                onChange={(change) => {
                  set(change.target.checked);
                }}
              />
              <span>{t(label)}</span>
            </label>
          ))}
          <button
            type="button"
            className="button"
            disabled={busy || known.find((file) => file.id === fileId)?.state !== 'ready'}
            onClick={() => void choose()}
          >
            {t('playout.use')}
          </button>
        </>
      )}
      <FileCards files={known} onChange={files.refresh} />
      {error && <ErrorNotice error={error} />}
      {playout.data && <Controls event={event} playout={playout.data} onChange={playout.refresh} />}
    </section>
  );
}
