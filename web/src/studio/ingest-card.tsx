// Where an encoder sends its stream: the addresses, the stream key, and how to enter them.

import { useState } from 'react';

import { api } from '../kit/portal';
import type { Ingest } from '../kit/types';
import { useAction } from '../ui/hooks';
import { Confirm, CopyField, ErrorNotice } from '../ui/parts';

const ADDRESSES = [
  ['rtmp', 'RTMP address'],
  ['srt', 'SRT address'],
  ['whip', 'WHIP address'],
] as const;

const OBS_SETTINGS = [
  ['Video Encoder', 'x264, or a hardware H.264 encoder'],
  ['Rate Control', 'CBR'],
  ['Bitrate', '2500 Kbps for 720 lines, 4500 Kbps for 1080'],
  ['Keyframe Interval', '2 s'],
  ['CPU Usage Preset (x264)', 'veryfast'],
  ['Profile', 'main or baseline'],
  ['Tune (x264)', 'zerolatency'],
  ['B-frames (hardware)', '0'],
  ['Audio Encoder', 'FFmpeg AAC, 160 Kbps'],
] as const;

/** How to enter the addresses in OBS Studio. */
function EncoderSteps({ ingest, streamKey }: { ingest: Ingest; streamKey: string | null }) {
  return (
    <details className="steps">
      <summary>With OBS Studio</summary>
      <ol>
        <li>Open Settings, then Stream, and choose the service “Custom…”.</li>
        <li>
          Paste these two:
          {ingest.rtmp !== null && <CopyField label="Server in OBS" value={ingest.rtmp} />}
          {streamKey !== null && <CopyField label="Stream Key in OBS" value={streamKey} secret />}
        </li>
        <li>Open Output, and set “Output Mode” to “Advanced”.</li>
        <li>
          Copy these settings of the tab “Streaming”. Viewers then get your video as you send it, without conversion.
          <dl className="settings">
            {OBS_SETTINGS.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </li>
        <li>
          In Video, “Output (Scaled) Resolution” 1280x720 and 30 FPS suit most networks. In Audio, “Sample Rate” 48 kHz.
        </li>
        <li>Press “Start Streaming”. “On air” appears above within seconds.</li>
      </ol>
      <p className="quiet">
        For the lowest latency, choose the service “WHIP”, and enter the WHIP address and the key as bearer token. OBS
        from Debian’s packages has no WHIP; use RTMP or SRT there.
      </p>
    </details>
  );
}

function KeyField({ streamKey }: { streamKey: string | null }) {
  if (streamKey !== null) {
    return (
      <>
        <CopyField label="Stream key" value={streamKey} secret />
        <p className="quiet">
          This key is shown once, in this tab only. Save it in your encoder. Anyone who has this key can publish.
        </p>
      </>
    );
  }
  return (
    <p className="notice">
      The stream key was already shown. If you lost it, create a new key. The old key then stops working.
    </p>
  );
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
    <section className="panel" aria-label="Encoder">
      <div className="row">
        <h2>Where to send your stream</h2>
        {ingest && mayRotate && (
          <button
            type="button"
            className="button button-small"
            disabled={busy}
            onClick={() => {
              setAsking(true);
            }}
          >
            New key
          </button>
        )}
      </div>
      {error && <ErrorNotice error={error} />}
      {!ingest && (
        <>
          <p className="quiet">
            For OBS Studio and other encoders. Umbel prepares a place near you that receives your stream.
          </p>
          <button type="button" className="button button-primary" disabled={busy} onClick={() => void get()}>
            {busy ? 'Preparing the addresses' : 'Show the addresses'}
          </button>
        </>
      )}
      {ingest && (
        <>
          <p className="quiet">Your stream is received at {ingest.node}.</p>
          <KeyField streamKey={streamKey} />
          {ADDRESSES.map(([name, label]) => {
            const value = ingest[name];
            return value !== null && <CopyField key={name} label={label} value={value} />;
          })}
          <EncoderSteps ingest={ingest} streamKey={streamKey} />
        </>
      )}
      {asking && (
        <Confirm
          title="Create a new stream key?"
          action="Create a new key"
          onConfirm={() => void rotate()}
          onClose={() => {
            setAsking(false);
          }}
        >
          <p>The old key stops working. Enter the new key in your encoder.</p>
        </Confirm>
      )}
    </section>
  );
}
