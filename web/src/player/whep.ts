// WHEP by hand: one offer, one answer, one peer connection that only receives.
// The edge is ICE-lite and takes our address from our checks, so the offer goes out without candidates.

import { t } from '../i18n/t';
import { parseRetryAfter } from '../kit/api';
import { serverText } from '../kit/error-text';
import type { Session } from '../kit/types';
import type { LossReason } from './model';
import { ALIVE_MS, type Connector } from './transport';
import { detailsOf, progressOf, type Reading, readStats } from './whep-stats';

const ANSWER_MS = 3000;
/** Numbers are compared over about this long. */
const PERIOD_MS = 1000;

const NO_CODEC = ['umbel.unsupported_codec', 'umbel.unsupported_offer'];

class Refused extends Error {
  constructor(
    message: string,
    readonly reason: LossReason,
    readonly retryAfterS: number | null,
  ) {
    super(message);
  }
}

/** An error of the edge (docs/reference/errors.md); a proxy's answer may have neither. */
interface Problem {
  code?: string;
  message?: string;
}

interface Accepted {
  answer: string;
  resource: string | null;
}

async function exchange(session: Session, offer: string, answerMs: number): Promise<Accepted> {
  const response = await fetch(session.whep, {
    method: 'POST',
    headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${session.token}` },
    body: offer,
    signal: AbortSignal.timeout(answerMs),
  });
  if (!response.ok) {
    const retryAfterS = parseRetryAfter(response.headers.get('Retry-After'), Date.now());
    const { code = '', message = '' } = await response.json().catch(() => ({}) as Problem);
    const reason = NO_CODEC.includes(code) ? 'codec' : 'refused';
    const said = serverText(code, message) || t('player.edgeStatus', { status: String(response.status) });
    throw new Refused(said, reason, retryAfterS);
  }
  const location = response.headers.get('Location');
  const resource = location === null ? null : new URL(location, session.whep).href;
  return { answer: await response.text(), resource };
}

function deleteResource(session: Session, resource: string, leaving: boolean): void {
  const headers = { Authorization: `Bearer ${session.token}` };
  // A lost edge needs no DELETE.
  fetch(resource, { method: 'DELETE', headers, keepalive: leaving }).catch(() => undefined);
}

/**
 * A trickle fragment (RFC 8840) with the credentials in use changes nothing, and is answered with
 * 404 by an edge that was restarted and has lost this connection.
 */
async function isKnown(session: Session, resource: string, sdp: string): Promise<boolean> {
  const lines = sdp
    .split('\r\n')
    .filter((line) => /^a=ice-(ufrag|pwd):/.test(line))
    .slice(0, 2);
  try {
    const response = await fetch(resource, {
      method: 'PATCH',
      headers: { Authorization: `Bearer ${session.token}`, 'Content-Type': 'application/trickle-ice-sdpfrag' },
      body: [...lines, ''].join('\r\n'),
      signal: AbortSignal.timeout(ALIVE_MS),
    });
    return response.ok;
  } catch {
    return false;
  }
}

export const connectWhep: Connector = (session, video, signals, answerMs = ANSWER_MS) => {
  const peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const stream = new MediaStream();
  let resource: string | null = null;
  let closed = false;
  let base: Reading | null = null;
  let last: Reading | null = null;

  peer.addTransceiver('video', { direction: 'recvonly' });
  peer.addTransceiver('audio', { direction: 'recvonly' });
  peer.ontrack = (event) => {
    // The least delay that the network allows; the browser still adds what jitter makes it need.
    event.receiver.jitterBufferTarget = 0;
    stream.addTrack(event.track);
  };
  peer.onconnectionstatechange = () => {
    if (closed) return;
    const state = peer.connectionState;
    if (state === 'connected') {
      // Not earlier: until now the last picture of the lost connection may still be on the screen.
      if (video.srcObject !== stream) video.srcObject = stream;
      signals.linked();
    } else if (state === 'disconnected') {
      signals.shaky();
    } else if (state === 'failed' || state === 'closed') {
      signals.lost('ice', t('player.connectionLost'), null);
    }
  };

  async function begin(): Promise<void> {
    await peer.setLocalDescription();
    const got = await exchange(session, peer.localDescription?.sdp ?? '', answerMs);
    resource = got.resource;
    if (closed) {
      if (resource) deleteResource(session, resource, false);
      return;
    }
    await peer.setRemoteDescription({ type: 'answer', sdp: got.answer });
  }

  begin().catch((error: unknown) => {
    if (closed) return;
    if (error instanceof Refused) signals.lost(error.reason, error.message, error.retryAfterS);
    else signals.lost('unreachable', t('player.edgeSilent'), null);
  });

  return {
    alive() {
      const sdp = peer.localDescription?.sdp;
      return resource === null || sdp === undefined ? Promise.resolve(true) : isKnown(session, resource, sdp);
    },
    async sample() {
      const report = await peer.getStats();
      const now = readStats(report as unknown as ReadonlyMap<string, never>, performance.now());
      if (base === null || now.atMs - base.atMs >= 2 * PERIOD_MS) {
        base = last ?? now;
      }
      if (last === null || now.atMs - last.atMs >= PERIOD_MS) last = now;
      return {
        progress: progressOf(now, document.hidden),
        framesDecoded: now.framesDecoded,
        details: detailsOf(now, base === now ? null : base),
      };
    },
    close(leaving) {
      closed = true;
      peer.close();
      if (resource) deleteResource(session, resource, leaving);
    },
  };
};
