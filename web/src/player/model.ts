// The player's types: phases, state, events, effects and limits.
//
// `epoch` names the current attempt: a response with an older one came too late and is dropped.

import type { EventState, Session } from '../kit/types';

export type Protocol = 'whep' | 'hls';
export type Choice = 'auto' | Protocol;

export type Phase =
  | 'idle' // not started yet, or the page was left
  | 'early' // the event is not open yet
  | 'opening' // a session is being opened
  | 'backoff' // the next attempt is at wakeAtMs
  | 'connecting' // the transport is being set up
  | 'playing'
  | 'stalled' // pictures stopped: finding out why
  | 'waiting' // the edge is well, the encoder is away
  | 'over' // the event has ended
  | 'missing'; // there is no such event

/** What the player knows of the event. */
export interface EventInfo {
  state: EventState;
  /** Does the encoder send? null: not known. */
  flowing: boolean | null;
  /** The qualities on offer, best first; null: not known. */
  qualities: readonly string[] | null;
}

export interface State {
  phase: Phase;
  epoch: number;
  choice: Choice;
  /** What the viewer wants, on offer or not; what plays is the session's. */
  quality: string;
  /** Why the viewer does not get the chosen quality; empty when they do. */
  notice: string;
  noticeAtMs: number;
  /** WebRTC with H.264 is there, as far as is known; and with VP8. */
  canWhep: boolean;
  canVp8: boolean;
  /** WebRTC did not connect for this viewer, so `auto` means HLS for now. */
  fallback: boolean;
  protocol: Protocol | null;
  session: Session | null;
  event: EventInfo | null;
  /** Attempts since it last played steadily. */
  attempt: number;
  /** Has it ever shown a picture? */
  played: boolean;
  /** The transport is up (ICE connected, or the playlist is loaded). */
  linked: boolean;
  paused: boolean;
  progress: number;
  progressAtMs: number;
  /** When this phase began, and when its timer expires. */
  sinceMs: number;
  wakeAtMs: number | null;
  /** What went wrong last, for the details panel. */
  trouble: string;
}

export type LossReason =
  | 'ice' // the media path broke or never came up
  | 'refused' // the edge answered with an error
  | 'codec' // the edge sends nothing that this browser decodes over WebRTC
  | 'unreachable' // the edge did not answer
  | 'media'; // the player could not go on with what it got

export type PlayerEvent =
  | { type: 'start' }
  | { type: 'event-changed'; info: EventInfo }
  | { type: 'opened'; epoch: number; session: Session }
  | { type: 'not-opened'; epoch: number; status: number; code: string; message: string; retryAfterS: number | null }
  | { type: 'linked'; epoch: number }
  | { type: 'shaky'; epoch: number }
  | { type: 'lost'; epoch: number; reason: LossReason; message: string; retryAfterS: number | null }
  | { type: 'progress'; epoch: number; value: number }
  | { type: 'probed'; epoch: number; alive: boolean; info: EventInfo | null }
  | { type: 'move' }
  | { type: 'moved'; epoch: number; session: Session }
  | { type: 'replaced'; epoch: number; session: Session }
  | { type: 'not-moved'; epoch: number; quality: string; message: string }
  | { type: 'tick' }
  | { type: 'hint' }
  | { type: 'choose'; choice: Choice }
  | { type: 'quality'; quality: string }
  | { type: 'pause' }
  | { type: 'resume' }
  | { type: 'leave' };

/**
 * The session to leave, and what replaces it while it plays on. WebRTC is replaced by WebRTC while it plays; any
 * other change needs the media element, and is an `hls` one.
 */
export interface Aim {
  epoch: number;
  left: Session;
  protocol: Protocol;
  quality: string;
}

export type Effect =
  | { type: 'open-session'; epoch: number; quality: string }
  | { type: 'close-session'; session: Session }
  | { type: 'connect'; epoch: number; protocol: Protocol; session: Session }
  | ({ type: 'hand-over' } & Aim)
  | { type: 'keep'; quality: string }
  | { type: 'disconnect' }
  | { type: 'probe'; epoch: number; session: Session }
  | { type: 'fetch-event' };

/** `random` is in [0, 1). */
export interface Moment {
  nowMs: number;
  random: number;
}

export interface Step {
  state: State;
  effects: Effect[];
}

export const LIMITS = {
  openMs: 12_000, // a first viewer may wait until an edge has started
  linkMs: { whep: 4_000, hls: 8_000 },
  // Long limits: the old session plays on, and a transcoder may have to start first.
  chooseMs: 300, // with keys a viewer passes other qualities on the way
  noticeMs: 20_000,
  handOverOpenMs: 18_000,
  handOverMs: 10_000,
  firstPictureMs: 3_000,
  doubtMs: 750, // no picture for this long: probe the edge, and show nothing yet
  stallMs: 1_500,
  stallMaxMs: 4_000, // the edge answers but sends nothing: take another
  probeEveryMs: 1_000,
  waitProbeEveryMs: 2_000,
  earlyPollMs: 15_000,
  steadyMs: 5_000, // playing this long forgets earlier failures
  backoffFirstMs: 250,
  backoffMaxMs: 5_000,
  hintSpreadMs: 400,
} as const;

export function initial(choice: Choice, canWhep: boolean, quality: string, canVp8 = false): State {
  return {
    phase: 'idle',
    epoch: 0,
    choice,
    quality,
    notice: '',
    noticeAtMs: 0,
    canWhep,
    canVp8,
    fallback: false,
    protocol: null,
    session: null,
    event: null,
    attempt: 0,
    played: false,
    linked: false,
    paused: false,
    progress: 0,
    progressAtMs: 0,
    sinceMs: 0,
    wakeAtMs: null,
    trouble: '',
  };
}
