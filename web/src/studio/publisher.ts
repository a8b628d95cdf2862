// WHIP from this browser: one offer to the acquirer, H.264 first, again after a loss until stopped.

import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';
import { parseRetryAfter } from '../kit/api';
import { backoffMs } from '../player/transitions';

export type OnAir =
  | { state: 'off' }
  | { state: 'connecting'; attempt: number }
  | { state: 'on'; mbps: number | null; codec: string | null }
  | { state: 'waiting'; message: string; attempt: number }
  | { state: 'refused'; message: string };

const ANSWER_MS = 5000;
const LINK_MS = 6000;
const STATS_MS = 1000;
const MAX_BPS = 3_000_000;

class Refused extends Error {
  constructor(
    message: string,
    /** The same request cannot succeed later: the key or the address is wrong. */
    readonly final: boolean,
    readonly retryAfterS: number | null,
  ) {
    super(message);
  }
}

const FINAL: Readonly<Record<number, PlainKey>> = {
  401: 'publish.badKey',
  403: 'publish.foreignKey',
  404: 'publish.noAddress',
};

/** H.264 that needs no re-encoding on the way comes first; the rest stays as a second choice. */
export function preferH264<T extends { mimeType: string; sdpFmtpLine?: string | undefined }>(
  codecs: readonly T[],
): T[] {
  const rank = (codec: T): number => {
    if (codec.mimeType.toLowerCase() !== 'video/h264') return 2;
    return codec.sdpFmtpLine?.includes('packetization-mode=1') ? 0 : 1;
  };
  return [...codecs].sort((a, b) => rank(a) - rank(b));
}

/** One connection. Resolves when it has ended, with the reason. */
class Attempt {
  readonly peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  private resource: string | null = null;

  constructor(
    private readonly url: string,
    private readonly key: string,
    stream: MediaStream,
  ) {
    for (const track of stream.getTracks()) {
      const transceiver = this.peer.addTransceiver(track, {
        direction: 'sendonly',
        streams: [stream],
        ...(track.kind === 'video' ? { sendEncodings: [{ maxBitrate: MAX_BPS }] } : {}),
      });
      const known = RTCRtpSender.getCapabilities(track.kind);
      if (track.kind === 'video' && known) transceiver.setCodecPreferences(preferH264(known.codecs));
    }
  }

  /** Sends the tracks of another stream over the same connection: nothing is negotiated. */
  async replace(stream: MediaStream): Promise<void> {
    const swaps = this.peer.getSenders().flatMap((sender) => {
      const track = stream.getTracks().find((one) => one.kind === sender.track?.kind);
      return track ? [sender.replaceTrack(track)] : [];
    });
    await Promise.all(swaps);
  }

  async negotiate(): Promise<void> {
    await this.peer.setLocalDescription();
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${this.key}` },
      body: this.peer.localDescription?.sdp ?? '',
      signal: AbortSignal.timeout(ANSWER_MS),
    }).catch(() => {
      throw new Refused(t('publish.silent'), false, null);
    });
    if (!response.ok) {
      const final = FINAL[response.status];
      const retryAfterS = parseRetryAfter(response.headers.get('Retry-After'), Date.now());
      throw new Refused(
        final ? t(final) : t('publish.status', { status: String(response.status) }),
        final !== undefined,
        retryAfterS,
      );
    }
    const location = response.headers.get('Location');
    this.resource = location === null ? null : new URL(location, this.url).href;
    await this.peer.setRemoteDescription({ type: 'answer', sdp: await response.text() });
  }

  async linked(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Refused(t('publish.noConnection'), false, null));
      }, LINK_MS);
      const check = (): void => {
        if (this.peer.connectionState === 'connected') resolve();
        else if (this.peer.connectionState === 'failed') reject(new Refused(t('player.connectionLost'), false, null));
        else return;
        clearTimeout(timer);
      };
      this.peer.addEventListener('connectionstatechange', check);
      check();
    });
  }

  close(): void {
    this.peer.close();
    if (this.resource === null) return;
    const headers = { Authorization: `Bearer ${this.key}` };
    fetch(this.resource, { method: 'DELETE', headers, keepalive: true }).catch(() => undefined);
    this.resource = null;
  }
}

interface Outbound {
  type: string;
  kind?: string;
  bytesSent?: number;
  codecId?: string;
  mimeType?: string;
}

export class Publisher {
  private attempt: Attempt | null = null;
  private stopped = false;
  private timer: ReturnType<typeof setInterval> | undefined;
  private wake: () => void = () => undefined;

  constructor(
    private readonly url: string,
    private readonly key: string,
    private stream: MediaStream,
    private readonly report: (onAir: OnAir) => void,
  ) {}

  /** Publishes until `stop` or until it is refused for good. */
  async run(): Promise<void> {
    for (let tries = 0; !this.stopped; tries += 1) {
      this.report({ state: 'connecting', attempt: tries });
      const attempt = new Attempt(this.url, this.key, this.stream);
      this.attempt = attempt;
      let retryAfterS: number | null = null;
      let message = t('publish.lost');
      try {
        await attempt.negotiate();
        await attempt.linked();
        tries = 0;
        await this.watch(attempt);
      } catch (error) {
        if (error instanceof Refused) ({ message, retryAfterS } = error);
        if (error instanceof Refused && error.final && !this.stopped) {
          this.stop({ state: 'refused', message });
        }
      }
      attempt.close();
      if (this.stopped) return;
      this.report({ state: 'waiting', message, attempt: tries + 1 });
      await this.rest(backoffMs(tries + 1, Math.random(), retryAfterS));
    }
  }

  /** Goes on with the camera and the microphone of this stream, which has the same kinds of tracks. */
  async replace(stream: MediaStream): Promise<void> {
    await this.attempt?.replace(stream);
    this.stream = stream;
  }

  stop(last: OnAir = { state: 'off' }): void {
    if (this.stopped) return;
    this.stopped = true;
    clearInterval(this.timer);
    this.attempt?.close();
    this.wake();
    this.report(last);
  }

  private rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Reports the rate every second; returns when the connection has failed or `stop` was called. */
  private watch(attempt: Attempt): Promise<void> {
    const { peer } = attempt;
    let before: { bytes: number; atMs: number } | null = null;
    const measure = async (): Promise<void> => {
      const report = (await peer.getStats()) as unknown as ReadonlyMap<string, Outbound>;
      let bytes = 0;
      let codec: string | null = null;
      for (const entry of report.values()) {
        if (entry.type !== 'outbound-rtp') continue;
        bytes += entry.bytesSent ?? 0;
        if (entry.kind === 'video') codec = report.get(entry.codecId ?? '')?.mimeType?.replace('video/', '') ?? null;
      }
      const atMs = performance.now();
      const mbps = before ? ((bytes - before.bytes) * 8) / ((atMs - before.atMs) * 1000) : null;
      before = { bytes, atMs };
      if (!this.stopped) this.report({ state: 'on', mbps, codec });
    };
    this.report({ state: 'on', mbps: null, codec: null });
    this.timer = setInterval(() => void measure(), STATS_MS);
    return new Promise((resolve) => {
      const done = (): void => {
        clearInterval(this.timer);
        resolve();
      };
      this.wake = done;
      peer.addEventListener('connectionstatechange', () => {
        if (peer.connectionState === 'failed' || peer.connectionState === 'closed') done();
      });
    });
  }
}
