// Where an encoder sends its stream: the addresses, the stream key, and how to enter them.

import { useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import type { Ingest } from '../kit/types';
import { useAction } from '../ui/hooks';
import { Confirm, CopyField, ErrorNotice } from '../ui/parts';

const ADDRESSES = [
  ['rtmp', 'ingest.rtmp'],
  ['srt', 'ingest.srt'],
  ['whip', 'ingest.whip'],
] as const;

/** The settings as OBS names them, each with the value to choose: a text, or what is the same in each language. */
const OBS_SETTINGS: readonly [PlainKey, { text: PlainKey } | string][] = [
  ['obs.videoEncoder', { text: 'obs.x264' }],
  ['obs.rateControl', 'CBR'],
  ['obs.bitrate', { text: 'obs.bitrates' }],
  ['obs.keyframes', '2 s'],
  ['obs.preset', 'veryfast'],
  ['obs.profile', { text: 'obs.profiles' }],
  ['obs.tune', 'zerolatency'],
  ['obs.bFrames', '0'],
  ['obs.audioEncoder', { text: 'obs.aac' }],
];

/** How to enter the addresses in OBS Studio. */
function EncoderSteps({ ingest, streamKey }: { ingest: Ingest; streamKey: string | null }) {
  return (
    <details className="steps">
      <summary>{t('obs.heading')}</summary>
      <ol>
        <li>{t('obs.open')}</li>
        <li>
          {t('obs.paste')}
          {ingest.rtmp !== null && <CopyField label={t('obs.server')} value={ingest.rtmp} />}
          {streamKey !== null && <CopyField label={t('obs.key')} value={streamKey} secret />}
        </li>
        <li>{t('obs.output')}</li>
        <li>
          {t('obs.settings')}
          <dl className="settings">
            {OBS_SETTINGS.map(([name, value]) => (
              <div key={name}>
                <dt>{t(name)}</dt>
                <dd>{typeof value === 'string' ? value : t(value.text)}</dd>
              </div>
            ))}
          </dl>
        </li>
        <li>{t('obs.video')}</li>
        <li>{t('obs.start', { onAir: t('live.onAir') })}</li>
      </ol>
      <p className="quiet">{t('obs.whip')}</p>
    </details>
  );
}

function KeyField({ streamKey }: { streamKey: string | null }) {
  if (streamKey !== null) {
    return (
      <>
        <CopyField label={t('key.key')} value={streamKey} secret />
        <p className="quiet">{t('key.once')}</p>
      </>
    );
  }
  return <p className="notice">{t('key.lost')}</p>;
}

interface IngestCardProps {
  eventId: string;
  ingest: Ingest | null;
  streamKey: string | null;
  /** Whether a new key may be made here: it ends what others have. */
  mayRotate: boolean;
  onIngest: (ingest: Ingest) => void;
  onKey: (key: string) => void;
}

export function IngestCard({ eventId, ingest, streamKey, mayRotate, onIngest, onKey }: IngestCardProps) {
  const [asking, setAsking] = useState(false);
  const { busy, error, run } = useAction();
  const get = (): Promise<void> =>
    run(async () => {
      const got = await api.ingest(eventId);
      if (got.stream_key !== null) onKey(got.stream_key);
      onIngest(got);
    });
  const rotate = (): Promise<void> =>
    run(async () => {
      onKey((await api.rotateKey(eventId)).stream_key);
    });
  return (
    <section className="panel" aria-label={t('ingest.encoder')}>
      <div className="row">
        <h2>{t('ingest.heading')}</h2>
        {ingest && mayRotate && (
          <button
            type="button"
            className="button button-small"
            disabled={busy}
            onClick={() => {
              setAsking(true);
            }}
          >
            {t('key.new')}
          </button>
        )}
      </div>
      {error && <ErrorNotice error={error} />}
      {!ingest && (
        <>
          <p className="quiet">{t('ingest.about')}</p>
          <button type="button" className="button button-primary" disabled={busy} onClick={() => void get()}>
            {busy ? t('ingest.preparing') : t('ingest.show')}
          </button>
        </>
      )}
      {ingest && (
        <>
          <p className="quiet">{t('ingest.receivedAt', { node: ingest.node })}</p>
          <KeyField streamKey={streamKey} />
          {ADDRESSES.map(([name, label]) => {
            const value = ingest[name];
            return value !== null && <CopyField key={name} label={t(label)} value={value} />;
          })}
          <EncoderSteps ingest={ingest} streamKey={streamKey} />
        </>
      )}
      {asking && (
        <Confirm
          title={t('key.confirm')}
          action={t('key.create')}
          onConfirm={() => void rotate()}
          onClose={() => {
            setAsking(false);
          }}
        >
          <p>{t('key.confirmText')}</p>
        </Confirm>
      )}
    </section>
  );
}
