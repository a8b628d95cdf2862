// The state of an event's stream for its provider: the picture on air, its facts, and what to improve.

import { t } from '../i18n/t';
import { formatMbps, formatNumber, formatPercent, formatViewers } from '../kit/format';
import type { LiveEvent, StreamStatus } from '../kit/types';
import { adviceOf } from './advice';
import { Monitor } from './monitor';

/** The protocols by which a packet can be lost: RTMP's connection sends it again. */
const COUNTED = ['whip', 'srt', 'rtp', 'mpegts'];

function StreamFacts({ stream }: { stream: StreamStatus }) {
  const size = stream.width > 0 ? `${String(stream.width)} × ${String(stream.height)}` : '–';
  return (
    <dl className="facts-inline">
      <div className="fact">
        <dt>{t('player.protocol')}</dt>
        <dd>{stream.protocol === '' ? '–' : stream.protocol.toUpperCase()}</dd>
      </div>
      <div className="fact">
        <dt>{t('stream.video')}</dt>
        <dd>{stream.video === '' ? '–' : stream.video}</dd>
      </div>
      <div className="fact">
        <dt>{t('stream.audio')}</dt>
        <dd>{stream.audio === '' ? '–' : stream.audio}</dd>
      </div>
      <div className="fact">
        <dt>{t('player.resolution')}</dt>
        <dd>{size}</dd>
      </div>
      <div className="fact">
        <dt>{t('player.bitrate')}</dt>
        <dd>{formatMbps(stream.mbps)}</dd>
      </div>
      <div className="fact">
        <dt>{t('stream.keyframes')}</dt>
        <dd>
          {stream.key_interval_s > 0 ? t('stream.every', { seconds: formatNumber(stream.key_interval_s, 1) }) : '–'}
        </dd>
      </div>
      <div className="fact">
        <dt>{t('stream.frameRate')}</dt>
        <dd>{stream.fps > 0 ? t('stream.perSecond', { count: formatNumber(stream.fps) }) : '–'}</dd>
      </div>
      <div className="fact">
        <dt>{t('stream.lostPackets')}</dt>
        <dd>{COUNTED.includes(stream.protocol) ? formatPercent(stream.packet_loss) : '–'}</dd>
      </div>
      <div className="fact">
        <dt>{t('common.viewers')}</dt>
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
    <section className="panel" aria-label={t('net.stream')}>
      <div className="row">
        <h2>{t('net.stream')}</h2>
        <p className={flowing ? 'status status-live' : 'status status-quiet'} role="status">
          <span className="status-dot" aria-hidden="true" />
          {flowing ? t('live.onAir') : t('stream.noSignal')}
        </p>
      </div>
      {flowing && <Monitor event={event} />}
      {stream && <StreamFacts stream={stream} />}
      {advice.map(({ key, text }) => (
        <p key={key} className="notice notice-warn">
          {text}
        </p>
      ))}
      {stream && stream.transcoding !== '' && !stream.transcoding.includes('video:') && (
        <p className="notice">{t('stream.converts', { transcoding: stream.transcoding })}</p>
      )}
      {stream && stream.error !== '' && <p className="notice notice-bad">{stream.error}</p>}
      {!flowing && <p className="quiet">{t('stream.send')}</p>}
    </section>
  );
}
