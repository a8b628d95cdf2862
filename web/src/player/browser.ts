// The Player's ports in a real browser, and the hook for debugging and end-to-end tests.

import { api } from '../kit/portal';
import type { Session } from '../kit/types';
import { connectHls } from './hls';
import type { Choice, Phase, Protocol } from './model';
import { Player, type Ports } from './runner';
import { ALIVE_MS, type Details } from './transport';
import { connectWhep } from './whep';

const CHOICE_KEY = 'umbel.protocol';

/** Any answer at all will do, even one we may not read; a frozen edge does not answer in time. */
async function alive(session: Session): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(ALIVE_MS);
    await fetch(session.whep, { method: 'HEAD', mode: 'no-cors', cache: 'no-store', signal });
    return true;
  } catch {
    return false;
  }
}

export function createPlayer(eventId: string, accessNode: string | null, video: HTMLVideoElement, choice: Choice): Player {
  const ports: Ports = {
    openSession: () => api.openSession(eventId, accessNode),
    closeSession: api.closeSession,
    look: () => api.event(eventId).catch(() => null),
    alive,
    connect: (protocol, session, signals, answerMs) =>
      (protocol === 'whep' ? connectWhep : connectHls)(session, video, signals, answerMs),
    nowMs: () => performance.now(),
    random: Math.random,
  };
  return new Player(ports, choice, 'RTCPeerConnection' in window);
}

const isChoice = (value: string | null): value is Choice => value === 'auto' || value === 'whep' || value === 'hls';

/** `?protocol=` for this visit, else what the viewer chose last, else auto. */
export function initialChoice(search: string): Choice {
  const forced = new URLSearchParams(search).get('protocol');
  if (isChoice(forced)) return forced;
  const kept = localStorage.getItem(CHOICE_KEY);
  return isChoice(kept) ? kept : 'auto';
}

export function keepChoice(choice: Choice): void {
  localStorage.setItem(CHOICE_KEY, choice);
}

/** See web/README.md. Reading it changes nothing. */
export interface PlayerHook {
  readonly state: Phase;
  readonly status: string;
  readonly protocol: Protocol | null;
  readonly edge: string | null;
  readonly sessionId: string | null;
  readonly framesDecoded: number;
  readonly sessionsOpened: number;
  readonly attempt: number;
  readonly trouble: string;
  readonly details: Details;
}

declare global {
  interface Window {
    umbelPlayer?: PlayerHook;
  }
}

export function exposeHook(player: Player): () => void {
  const hook: PlayerHook = Object.freeze({
    get state() { return player.get().state.phase; },
    get status() { return player.get().status.text; },
    get protocol() { return player.get().state.protocol; },
    get edge() { return player.get().state.session?.edge ?? null; },
    get sessionId() { return player.get().state.session?.id ?? null; },
    get framesDecoded() { return player.get().framesDecoded; },
    get sessionsOpened() { return player.get().sessionsOpened; },
    get attempt() { return player.get().state.attempt; },
    get trouble() { return player.get().state.trouble; },
    get details() { return player.get().details; },
  });
  window.umbelPlayer = hook;
  return () => {
    if (window.umbelPlayer === hook) delete window.umbelPlayer;
  };
}
