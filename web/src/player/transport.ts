// What the player needs from a transport. There are two: whep.ts and hls.ts.

import type { Session } from '../kit/types';
import type { LossReason } from './model';

/** Numbers for the details panel; null where they are not known. */
export interface Details {
  latencyS: number | null;
  /** How the latency is known: an estimate is not a measurement. */
  latencyNote: string;
  width: number | null;
  height: number | null;
  mbps: number | null;
  framesPerS: number | null;
  dropped: number | null;
  codec: string | null;
}

export interface Sample {
  /** Changes whenever media advances; the machine watches it. */
  progress: number;
  framesDecoded: number;
  details: Details;
}

export interface Signals {
  linked: () => void;
  shaky: () => void;
  lost: (reason: LossReason, message: string, retryAfterS: number | null) => void;
}

/** The time limit for an edge to prove that it is alive. */
export const ALIVE_MS = 1000;

export interface Transport {
  /** Whether the edge still has this connection; absent where only its address can be probed. */
  alive?: () => Promise<boolean>;
  sample: () => Promise<Sample>;
  /** Ends it; `leaving` when the page goes away, so that the DELETE must outlive it. */
  close: (leaving: boolean) => void;
}

/** `answerMs`: the time limit for the edge's response, if not the usual one. */
export type Connector = (session: Session, video: HTMLVideoElement, signals: Signals, answerMs?: number) => Transport;

export const NOTHING_KNOWN: Details = {
  latencyS: null,
  latencyNote: '',
  width: null,
  height: null,
  mbps: null,
  framesPerS: null,
  dropped: null,
  codec: null,
};
