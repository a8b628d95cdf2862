// A provider's files: a picture and what is in each, and a way to delete it.

import { useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';
import { formatBytes, formatDateTime, formatPosition } from '../kit/format';
import { api } from '../kit/portal';
import type { ProviderFile } from '../kit/types';
import { useAction } from '../ui/hooks';
import { Confirm, ErrorNotice } from '../ui/parts';

const STATES: Readonly<Record<string, PlainKey>> = {
  uploading: 'file.stateIncomplete',
  checking: 'file.stateChecking',
  refused: 'file.stateRefused',
};

/** What is known of a file, each a short word: its length, its size, what is in it. */
export function factsOf(file: ProviderFile): string[] {
  const size = file.width > 0 ? `${String(file.width)} × ${String(file.height)}` : '';
  const length = file.duration_s > 0 ? formatPosition(file.duration_s) : '';
  return [length, formatBytes(file.size), file.video, file.audio, size].filter((fact) => fact !== '');
}

function FileCard({ file, onDeleted }: { file: ProviderFile; onDeleted: () => void }) {
  const [asking, setAsking] = useState(false);
  const { busy, error, run } = useAction();
  const state = STATES[file.state];
  return (
    <li className="file-card">
      {file.state === 'ready' && file.video !== '' ? (
        <img
          src={`/api/v1/files/${encodeURIComponent(file.id)}/picture`}
          alt=""
          width={160}
          height={90}
          loading="lazy"
        />
      ) : (
        <span className="file-blank" aria-hidden="true" />
      )}
      <div>
        <h3>{file.name}</h3>
        <p className="about-meta">
          {state && <span className="badge">{t(state)}</span>}
          {factsOf(file).map((fact) => (
            <span key={fact}>{fact}</span>
          ))}
          <time dateTime={file.created_at}>{formatDateTime(file.created_at)}</time>
        </p>
        {file.problem !== '' && <p className="notice notice-bad">{file.problem}</p>}
        {error && <ErrorNotice error={error} />}
      </div>
      <button
        type="button"
        className="button button-small button-danger"
        disabled={busy}
        aria-label={t('file.deleteNamed', { name: file.name })}
        onClick={() => {
          setAsking(true);
        }}
      >
        {t('common.delete')}
      </button>
      {asking && (
        <Confirm
          title={t('file.deleteQuestion')}
          action={t('common.delete')}
          onConfirm={() => {
            void run(async () => {
              await api.deleteFile(file.id);
              onDeleted();
            });
          }}
          onClose={() => {
            setAsking(false);
          }}
        >
          <p>{t('file.deleteAbout', { name: file.name })}</p>
        </Confirm>
      )}
    </li>
  );
}

export function FileCards({ files, onChange }: { files: readonly ProviderFile[]; onChange: () => void }) {
  if (files.length === 0) return null;
  return (
    <details>
      <summary>{t('file.yours', { count: files.length })}</summary>
      <ul className="plain-list stack">
        {files.map((file) => (
          <FileCard key={file.id} file={file} onDeleted={onChange} />
        ))}
      </ul>
    </details>
  );
}
