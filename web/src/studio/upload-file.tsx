// Uploading a video of the provider's: a bar, a pause, and going on later, also after a reload.

import { useRef, useState } from 'react';
import { t } from '../i18n/t';

import { type ApiError, asApiError } from '../kit/api';
import { upload } from '../kit/tus';
import { ErrorNotice } from '../ui/parts';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface UploadFileProps {
  providerId: string;
  onUploaded: (fileId: string) => void;
}

export function UploadFile({ providerId, onUploaded }: UploadFileProps) {
  const [file, setFile] = useState<File | null>(null);
  const [sent, setSent] = useState(0);
  const [running, setRunning] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const stop = useRef<AbortController | null>(null);

  const begin = async (chosen: File): Promise<void> => {
    const control = new AbortController();
    stop.current = control;
    setFile(chosen);
    setError(null);
    setRunning(true);
    try {
      const id = await upload(chosen, {
        providerId,
        fetch: (input, init) => fetch(input, init),
        store: localStorage,
        wait: sleep,
        signal: control.signal,
        onProgress: setSent,
      });
      setFile(null);
      onUploaded(id);
    } catch (failure) {
      if (!control.signal.aborted) setError(asApiError(failure));
    }
    setRunning(false);
  };

  const share = file && file.size > 0 ? Math.floor((100 * sent) / file.size) : 0;
  return (
    <div className="stack">
      <label className="field">
        <span>{t('upload.upload')}</span>
        <input
          type="file"
          accept="video/*,.mkv,.ts,.flv"
          disabled={running}
          onChange={(event) => {
            const chosen = event.target.files?.[0];
            if (chosen) void begin(chosen);
          }}
        />
      </label>
      {file && (
        <div className="row">
          <progress aria-label={t('upload.of', { file: file.name })} max={100} value={share} />
          <span>{share} %</span>
          {running ? (
            <button type="button" className="button button-small" onClick={() => stop.current?.abort()}>
              {t('upload.pause')}
            </button>
          ) : (
            <button type="button" className="button button-small" onClick={() => void begin(file)}>
              {t('upload.goOn')}
            </button>
          )}
        </div>
      )}
      {error && <ErrorNotice error={error} />}
      <p className="quiet">{t('upload.about')}</p>
    </div>
  );
}
