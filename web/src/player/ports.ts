// What the player needs from outside: the portal, the transports, time. browser.ts has the real ones.

import type { LiveEvent, Session } from '../kit/types';
import type { Protocol } from './model';
import type { Signals, Transport } from './transport';

export interface Ports {
  openSession: (quality: string) => Promise<Session>;
  closeSession: (session: Session) => Promise<void>;
  /** The event as it is now; null when the portal does not answer. */
  fetchEvent: () => Promise<LiveEvent | null>;
  /** Does the edge answer at all? */
  alive: (session: Session) => Promise<boolean>;
  /** `answerMs`: the time limit for the edge's response, if not the usual one. */
  connect: (protocol: Protocol, session: Session, signals: Signals, answerMs?: number) => Transport;
  nowMs: () => number;
  random: () => number;
}
