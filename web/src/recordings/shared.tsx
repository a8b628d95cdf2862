// A recording that somebody shared by a link.

import { useEffect, useState } from 'react';
import { rich, t } from '../i18n/t';

import { type ApiError, asApiError } from '../kit/api';
import { formatBytes, formatLength } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { Replay } from '../kit/types';
import { Link, useTitle } from '../ui/navigation';
import { Empty, ErrorPage, Loading } from '../ui/parts';
import { ReplayVideo } from './replay-video';

export default function Shared({ secret }: { secret: string }) {
  const [replay, setReplay] = useState<Replay | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [attempt, setAttempt] = useState(0);
  useTitle(replay?.title ?? t('recording.title'));
  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt reads again
  useEffect(() => {
    let closed = false;
    setError(null);
    api.sharedRecording(secret).then(
      (found) => {
        if (!closed) setReplay(found);
      },
      (why: unknown) => {
        if (!closed) setError(asApiError(why));
      },
    );
    return () => {
      closed = true;
    };
  }, [secret, attempt]);

  if (error?.status === 404) {
    return (
      <Empty isPage title={t('shared.gone')}>
        <p>{rich('shared.goneText', { link: <Link to={to.discover}>{t('common.seeLive')}</Link> })}</p>
      </Empty>
    );
  }
  if (!replay) {
    return error ? (
      <div className="page">
        <ErrorPage
          title={t('shared.cannotShow')}
          error={error}
          onRetry={() => {
            setAttempt(attempt + 1);
          }}
        />
      </div>
    ) : (
      <Loading what={t('shared.loading')} />
    );
  }
  return (
    <div className="page watch">
      <ReplayVideo replay={replay} begin="start" />
      <div className="about">
        <h1>{replay.title}</h1>
        <p className="about-meta">
          <span>{formatLength(replay.duration_s)}</span>
          {replay.files.map((file) => (
            <a key={file.url} href={`${file.url}?name=${encodeURIComponent(file.name)}`} download>
              {t('recording.download', { size: formatBytes(file.bytes) })}
            </a>
          ))}
        </p>
      </div>
    </div>
  );
}
