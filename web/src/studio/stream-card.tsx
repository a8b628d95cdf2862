// The state of an event's stream for its provider: the picture on air, its facts, and what to improve.

import { formatMbps, formatViewers } from '../kit/format';
import type { LiveEvent, StreamStatus } from '../kit/types';
import { adviceOf } from './advice';
import { Monitor } from './monitor';

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
        <dt>Key pictures</dt>
        <dd>{stream.key_interval_s > 0 ? `every ${stream.key_interval_s.toFixed(1)} s` : '–'}</dd>
      </div>
      <div className="fact">
        <dt>Viewers</dt>
        <dd>{formatViewers(stream.viewers)}</dd>
      </div>
    </dl>
  );
}

export function StreamCard({ event }: { event: LiveEvent }) {
  const { stream } = event;
  const flowing = stream?.flowing === true;
  const advice = stream ? adviceOf(stream) : [];
  return (
    <section className="panel" aria-label="Stream">
      <div className="row">
        <h2>Stream</h2>
        <p className={flowing ? 'status status-live' : 'status status-quiet'} role="status">
          <span className="status-dot" aria-hidden="true" />
          {flowing ? 'On air' : 'No signal yet'}
        </p>
      </div>
      {flowing && <Monitor event={event} />}
      {stream && <StreamFacts stream={stream} />}
      {advice.map((sentence) => (
        <p key={sentence} className="notice notice-warn">
          {sentence}
        </p>
      ))}
      {stream && stream.transcoding !== '' && !stream.transcoding.includes('video:') && (
        <p className="notice">Umbel converts your stream ({stream.transcoding}).</p>
      )}
      {stream && stream.error !== '' && <p className="notice notice-bad">{stream.error}</p>}
      {!flowing && (
        <p className="quiet">
          Send a stream to one of the addresses below, or use this browser. Viewers see it at once.
        </p>
      )}
    </section>
  );
}
