// One event for its provider: the state of the stream, the ingest addresses, and publishing from the browser.

import { useState } from 'react';

import { formatMbps, formatSpan, formatViewers } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { Ingest, LiveEvent, StreamStatus } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Confirm, CopyField, Empty, ErrorNotice, Loading, StateBadge } from '../ui/parts';
import { ForProviders } from './account';
import { GoLive } from './go-live';
import { keepKey, keptKey } from './keys';

const POLL_MS = 5000;

function StreamFacts({ stream }: { stream: StreamStatus }) {
  const size = stream.width > 0 ? `${String(stream.width)} × ${String(stream.height)}` : '–';
  return (
    <dl className="facts-inline">
      <div className="fact">
        <dt>Protocol</dt>
        <dd>{stream.protocol === '' ? '–' : stream.protocol.toUpperCase()}</dd>
      </div>
      <div className="fact">
        <dt>Video</dt>
        <dd>{stream.video === '' ? '–' : stream.video}</dd>
      </div>
      <div className="fact">
        <dt>Audio</dt>
        <dd>{stream.audio === '' ? '–' : stream.audio}</dd>
      </div>
      <div className="fact">
        <dt>Resolution</dt>
        <dd>{size}</dd>
      </div>
      <div className="fact">
        <dt>Bitrate</dt>
        <dd>{formatMbps(stream.mbps)}</dd>
      </div>
      <div className="fact">
        <dt>Viewers</dt>
        <dd>{formatViewers(stream.viewers)}</dd>
      </div>
    </dl>
  );
}

function StreamCard({ event }: { event: LiveEvent }) {
  const { stream } = event;
  const flowing = stream?.flowing === true;
  return (
    <section className="panel" aria-label="Stream">
      <div className="row">
        <h2>Stream</h2>
        <p className={flowing ? 'status status-live' : 'status status-quiet'} role="status">
          <span className="status-dot" aria-hidden="true" />
          {flowing ? 'On air' : 'No signal yet'}
        </p>
      </div>
      {stream && <StreamFacts stream={stream} />}
      {stream && stream.transcoding !== '' && (
        <p className={stream.transcoding.includes('video:') ? 'notice notice-warn' : 'notice'}>
          Transcoded: {stream.transcoding}.
          {stream.transcoding.includes('video:') && ' Send H.264 without B-frames to avoid this.'}
        </p>
      )}
      {stream && stream.error !== '' && <p className="notice notice-bad">{stream.error}</p>}
      {!flowing && <p className="quiet">Push a stream to one of the addresses below. Viewers see it at once.</p>}
    </section>
  );
}

const ADDRESSES = [
  ['rtmp', 'RTMP address'],
  ['srt', 'SRT address'],
  ['whip', 'WHIP address'],
] as const;

/** How to enter the addresses in OBS Studio. */
function EncoderSteps() {
  return (
    <details className="steps">
      <summary>With OBS Studio</summary>
      <ol>
        <li>Open Settings, then Stream, and choose the service “Custom…”.</li>
        <li>Paste the RTMP address as “Server” and the stream key as “Stream Key”.</li>
        <li>
          Under Output choose x264 or a hardware H.264 encoder, keyframe interval 1 to 2 s, and no B-frames (tune
          “zerolatency”). Umbel then forwards the video without transcoding it.
        </li>
        <li>Press “Start Streaming”. “On air” appears above within seconds.</li>
      </ol>
      <p className="quiet">
        For the lowest latency, choose the service “WHIP”, and enter the WHIP address and the key as bearer token.
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
  onIngest: (ingest: Ingest) => void;
  onKey: (key: string) => void;
}

function IngestCard({ eventId, ingest, streamKey, onIngest, onKey }: IngestCardProps) {
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
        <h2>Use an encoder</h2>
        {ingest && (
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
          <p className="quiet">Starts an acquirer near you and shows its addresses.</p>
          <button type="button" className="button button-primary" disabled={busy} onClick={() => void get()}>
            {busy ? 'Starting the acquirer' : 'Get ingest addresses'}
          </button>
        </>
      )}
      {ingest && (
        <>
          <p className="quiet">Your acquirer runs on {ingest.node}.</p>
          <KeyField streamKey={streamKey} />
          {ADDRESSES.map(([name, label]) => {
            const value = ingest[name];
            return value !== null && <CopyField key={name} label={label} value={value} />;
          })}
          <EncoderSteps />
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

function Ending({ event, onDone }: { event: LiveEvent; onDone: () => void }) {
  const [asking, setAsking] = useState(false);
  const { busy, error, run } = useAction();
  const early = event.state === 'scheduled';
  const label = early ? 'Cancel event' : 'End event';
  const end = (): Promise<void> =>
    run(async () => {
      await (early ? api.cancelEvent(event.id) : api.endEvent(event.id));
      onDone();
    });
  return (
    <>
      <button
        type="button"
        className="button button-danger"
        disabled={busy}
        onClick={() => {
          setAsking(true);
        }}
      >
        {label}
      </button>
      {error && <ErrorNotice error={error} />}
      {asking && (
        <Confirm
          title={`${label}?`}
          action={label}
          onConfirm={() => void end()}
          onClose={() => {
            setAsking(false);
          }}
        >
          <p>{early ? 'The event will not take place.' : 'All viewers are disconnected.'} This cannot be undone.</p>
        </Confirm>
      )}
    </>
  );
}

function Workbench({ event }: { event: LiveEvent }) {
  const [ingest, setIngest] = useState<Ingest | null>(null);
  const [streamKey, setStreamKey] = useState(() => keptKey(event.id));
  const onKey = (key: string): void => {
    keepKey(event.id, key);
    setStreamKey(key);
  };
  return (
    <div className="columns columns-even">
      <div className="stack">
        <StreamCard event={event} />
        <IngestCard eventId={event.id} ingest={ingest} streamKey={streamKey} onIngest={setIngest} onKey={onKey} />
      </div>
      <GoLive eventId={event.id} ingest={ingest} streamKey={streamKey} onIngest={setIngest} onKey={onKey} />
    </div>
  );
}

function EventPage({ eventId }: { eventId: string }) {
  const {
    data: event,
    error,
    refresh,
  } = useLive(`event ${eventId}`, () => api.event(eventId), ['event', 'session'], POLL_MS);
  useTitle(event?.title ?? 'Studio');
  if (!event) return error ? <ErrorNotice error={error} onRetry={refresh} /> : <Loading what="Loading the event" />;
  const over = event.state === 'ended' || event.state === 'cancelled';
  return (
    <>
      <p className="crumb">
        <Link to={to.studio}>Studio</Link>
      </p>
      <div className="page-head">
        <div>
          <h1>{event.title}</h1>
          <p className="about-meta">
            <StateBadge state={event.state} />
            <span>{event.provider_name}</span>
            <span>{formatSpan(event.starts_at, event.ends_at)}</span>
          </p>
        </div>
        <div className="row">
          <Link to={to.watch(event.id)} className="button">
            Watch
          </Link>
          {!over && <Ending event={event} onDone={refresh} />}
        </div>
      </div>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {over ? (
        <Empty title={event.state === 'ended' ? 'This event has ended' : 'This event was cancelled'}>
          <p>
            <Link to={to.studio}>Create another event</Link>
          </p>
        </Empty>
      ) : (
        <Workbench event={event} />
      )}
    </>
  );
}

export default function StudioEvent({ eventId }: { eventId: string }) {
  return (
    <div className="page">
      <ForProviders>{() => <EventPage eventId={eventId} />}</ForProviders>
    </div>
  );
}
