// The Player's ports in a real browser, and the hook for debugging and end-to-end tests.

import { api } from '../kit/portal';
import type { Session } from '../kit/types';
import { webrtcCodecs } from './codecs';
import { early } from './early';
import { connectHls } from './hls';
import type { Phase, Protocol } from './model';
import type { Ports } from './ports';
import type { Preferences } from './preferences';
import { SOURCE } from './quality';
import { Player } from './runner';
import { ALIVE_MS, type Details } from './transport';
import { connectWhep } from './whep';

/** Any response proves the edge alive, even an unreadable one. A frozen edge does not respond in time. */
async function alive(session: Session): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(ALIVE_MS);
    await fetch(session.whep, { method: 'HEAD', mode: 'no-cors', cache: 'no-store', signal });
    return true;
  } catch {
    return false;
  }
}

export function createPlayer(eventId: string, video: HTMLVideoElement, preferences: Preferences): Player {
  const ports: Ports = {
    openSession: (quality) =>
      early.takeSession(eventId, quality) ??
      api.openSession(eventId, preferences.node, quality === SOURCE ? null : quality),
    closeSession: api.closeSession,
    fetchEvent: () => api.event(eventId).catch(() => null),
    alive,
    connect: (protocol, session, signals, answerMs) =>
      (protocol === 'whep' ? connectWhep : connectHls)(session, video, signals, answerMs),
    nowMs: () => performance.now(),
    random: Math.random,
  };
  const { h264, vp8 } = webrtcCodecs();
  return new Player(ports, preferences.choice, h264, preferences.quality, vp8);
}

/** See web/README.md. Reading it changes nothing. */
export interface PlayerHook {
  readonly state: Phase;
  readonly status: string;
  readonly protocol: Protocol | null;
  readonly edge: string | null;
  readonly quality: string | null;
  readonly sessionId: string | null;
  readonly framesDecoded: number;
  readonly sessionsOpened: number;
  readonly attempt: number;
  readonly trouble: string;
  readonly notice: string;
  readonly details: Details;
}

declare global {
  interface Window {
    umbelPlayer?: PlayerHook;
  }
}

export function exposeHook(player: Player): () => void {
  const hook: PlayerHook = Object.freeze({
    get state() {
      return player.get().state.phase;
    },
    get status() {
      return player.get().status.text;
    },
    get protocol() {
      return player.get().state.protocol;
    },
    get edge() {
      return player.get().state.session?.edge ?? null;
    },
    get quality() {
      return player.get().state.session?.quality ?? null;
    },
    get sessionId() {
      return player.get().state.session?.id ?? null;
    },
    get framesDecoded() {
      return player.get().framesDecoded;
    },
    get sessionsOpened() {
      return player.get().sessionsOpened;
    },
    get attempt() {
      return player.get().state.attempt;
    },
    get trouble() {
      return player.get().state.trouble;
    },
    get notice() {
      return player.get().state.notice;
    },
    get details() {
      return player.get().details;
    },
  });
  window.umbelPlayer = hook;
  return () => {
    if (window.umbelPlayer === hook) delete window.umbelPlayer;
  };
}
