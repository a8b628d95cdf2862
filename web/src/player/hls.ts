// LL-HLS by hls.js, which is loaded only when it is needed.

import type Hls from 'hls.js';
import type { ErrorData, HlsConfig, LoadPolicy } from 'hls.js';
import { t } from '../i18n/t';

import type { Session } from '../kit/types';
import { type Connector, type Details, NOTHING_KNOWN, type Signals } from './transport';

const once = { maxNumRetry: 1, retryDelayMs: 300, maxRetryDelayMs: 300 };

/** Few retries, because the machine decides on the next attempt and may take another edge. */
function policy(firstByteMs: number, loadMs: number): LoadPolicy {
  const load = { maxTimeToFirstByteMs: firstByteMs, maxLoadTimeMs: loadMs };
  return { default: { ...load, timeoutRetry: once, errorRetry: once } };
}

const CONFIG: Partial<HlsConfig> = {
  lowLatencyMode: true,
  backBufferLength: 15,
  manifestLoadPolicy: policy(4000, 6000),
  // A playlist request may be held by the edge until its next part is ready (RFC 8216bis, 6.2.5.2).
  playlistLoadPolicy: policy(6000, 8000),
  fragLoadPolicy: policy(4000, 8000),
};

/**
 * How fast it may play to catch up after a stall instead of staying behind. WebKit stops at a change of the rate
 * (seen with WebKitGTK 2.50), so there it stays behind until hls.js seeks.
 */
export function catchUpRate(userAgent: string): number {
  const isWebKit = userAgent.includes('AppleWebKit') && !userAgent.includes('Chrom');
  return isWebKit ? 1 : 1.2;
}

/** Media elements send no headers, so the token is part of the address; playlists pass it on. */
export function withToken(session: Session): string {
  // Never null here: what has no HLS is played over WebRTC.
  const address = new URL(session.hls ?? '');
  address.searchParams.set('token', session.token);
  return address.href;
}

function isHttpError(data: ErrorData): boolean {
  return data.response !== undefined && data.response.code !== undefined && data.response.code >= 400;
}

function reportNetworkError(data: ErrorData, signals: Signals): void {
  if (!data.fatal) signals.shaky();
  else if (isHttpError(data))
    signals.lost('refused', t('player.edgeStatus', { status: String(data.response?.code) }), null);
  else signals.lost('unreachable', t('player.edgeSilent'), null);
}

export const connectHls: Connector = (session, video, signals) => {
  let hls: Hls | null = null;
  let closed = false;
  let recovered = false;
  let linked = false;
  let moves = 0;
  let lastTimeS: number | null = null;

  async function begin(): Promise<void> {
    const { default: Player } = await import('hls.js');
    if (closed) return;
    if (!Player.isSupported()) {
      signals.lost('media', t('player.noHls'), null);
      return;
    }
    const created = new Player({ ...CONFIG, maxLiveSyncPlaybackRate: catchUpRate(navigator.userAgent) });
    hls = created;
    created.on(Player.Events.LEVEL_LOADED, () => {
      linked = true;
      signals.linked();
    });
    created.on(Player.Events.ERROR, (_name, data) => {
      if (data.type === Player.ErrorTypes.NETWORK_ERROR) {
        reportNetworkError(data, signals);
      } else if (data.fatal && data.type === Player.ErrorTypes.MEDIA_ERROR && !recovered) {
        recovered = true;
        created.recoverMediaError();
      } else if (data.fatal) {
        signals.lost('media', t('player.hlsFailed', { details: data.details }), null);
      }
    });
    video.srcObject = null;
    created.loadSource(withToken(session));
    created.attachMedia(video);
  }

  begin().catch(() => {
    if (!closed) signals.lost('media', t('player.hlsNotLoaded'), null);
  });

  function details(): Details {
    const level = hls?.levels[hls.currentLevel];
    const quality = video.getVideoPlaybackQuality();
    const latency = hls?.latency ?? 0;
    return {
      ...NOTHING_KNOWN,
      latencyS: latency > 0 ? latency : null,
      latencyNote: t('player.behindLive'),
      width: video.videoWidth || null,
      height: video.videoHeight || null,
      mbps: level && level.bitrate > 0 ? level.bitrate / 1e6 : null,
      dropped: quality.droppedVideoFrames,
      codec: level?.videoCodec ?? null,
    };
  }

  /** Counts the moves of the playback position (a hidden page decodes no frames). A seek does not count. */
  function movesSoFar(): number {
    const shown = linked && !video.seeking && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    if (!shown) return moves;
    if (lastTimeS !== null && video.currentTime !== lastTimeS) moves += 1;
    lastTimeS = video.currentTime;
    return moves;
  }

  return {
    sample: () =>
      Promise.resolve({
        progress: movesSoFar(),
        framesDecoded: video.getVideoPlaybackQuality().totalVideoFrames,
        details: details(),
      }),
    close() {
      closed = true;
      hls?.destroy();
    },
  };
};
