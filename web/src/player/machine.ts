// The player's decisions: state x event -> state + effects. Pure: time and chance come in with each
// event, nothing is awaited, no browser is known. `runner.ts` carries the effects out.
//
// idle -> asking -> connecting -> playing <-> stalled -> (asking | backoff | waiting)
//
// `epoch` names the current attempt: an answer that carries an older one came too late and is dropped.

import type { EventState, Session } from '../kit/types';

export type Protocol = 'whep' | 'hls';
export type Choice = 'auto' | Protocol;

export type Phase =
  | 'idle' // nothing asked yet, or the page was left
  | 'early' // the event is not open yet
  | 'asking' // a session is being opened
  | 'backoff' // the next attempt is at wakeAtMs
  | 'connecting' // the transport is being set up
  | 'playing'
  | 'stalled' // pictures stopped: finding out why
  | 'waiting' // the edge is well, the encoder is away
  | 'over' // the event has ended
  | 'missing'; // there is no such event

/** What is known of the event; null where the portal could not be asked. */
export interface Seen {
  state: EventState;
  /** Does the encoder send? null: not known. */
  flowing: boolean | null;
}

export interface State {
  phase: Phase;
  epoch: number;
  choice: Choice;
  canWhep: boolean;
  /** WebRTC did not get through to this viewer, so `auto` means HLS for now. */
  fallback: boolean;
  protocol: Protocol | null;
  session: Session | null;
  seen: Seen | null;
  /** Attempts since it last played well. */
  attempt: number;
  /** Has it ever shown a picture? */
  played: boolean;
  /** The transport is up (ICE connected, or the playlist is loaded). */
  linked: boolean;
  paused: boolean;
  progress: number;
  progressAtMs: number;
  /** When this phase began, and when it acts next by itself. */
  sinceMs: number;
  wakeAtMs: number | null;
  /** What went wrong last, for the details panel. */
  trouble: string;
}

export type LossReason =
  | 'ice' // the media path broke or never came up
  | 'refused' // the edge answered with an error
  | 'unreachable' // the edge did not answer
  | 'media'; // the player could not go on with what it got

export type PlayerEvent =
  | { type: 'start' }
  | { type: 'seen'; seen: Seen }
  | { type: 'opened'; epoch: number; session: Session }
  | { type: 'not-opened'; epoch: number; status: number; code: string; message: string; retryAfterS: number | null }
  | { type: 'linked'; epoch: number }
  | { type: 'shaky'; epoch: number }
  | { type: 'lost'; epoch: number; reason: LossReason; message: string; retryAfterS: number | null }
  | { type: 'progress'; epoch: number; value: number }
  | { type: 'probed'; epoch: number; alive: boolean; seen: Seen | null }
  | { type: 'move' }
  | { type: 'moved'; epoch: number; session: Session }
  | { type: 'tick' }
  | { type: 'hint' }
  | { type: 'choose'; choice: Choice }
  | { type: 'pause' }
  | { type: 'resume' }
  | { type: 'leave' };

export type Effect =
  | { type: 'open-session'; epoch: number }
  | { type: 'close-session'; session: Session }
  | { type: 'connect'; epoch: number; protocol: Protocol; session: Session }
  | { type: 'hand-over'; epoch: number }
  | { type: 'disconnect' }
  | { type: 'probe'; epoch: number; session: Session }
  | { type: 'look' };

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
  askMs: 12_000, // a first viewer may have to wait until an edge has started
  linkMs: { whep: 4_000, hls: 8_000 },
  firstPictureMs: 3_000,
  doubtMs: 750, // no picture for this long: ask the edge, and say nothing yet
  stallMs: 1_500,
  stallMaxMs: 4_000, // the edge answers but sends nothing: take another
  probeEveryMs: 1_000,
  waitProbeEveryMs: 2_000,
  earlyLookEveryMs: 15_000,
  steadyMs: 5_000, // playing this long forgets earlier failures
  backoffFirstMs: 250,
  backoffMaxMs: 5_000,
  hintSpreadMs: 400,
} as const;

export function initial(choice: Choice, canWhep: boolean): State {
  return {
    phase: 'idle',
    epoch: 0,
    choice,
    canWhep,
    fallback: false,
    protocol: null,
    session: null,
    seen: null,
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

/** How long before attempt n (0: at once): doubles up to a limit, spread so that viewers do not come together. */
export function backoffMs(attempt: number, random: number, retryAfterS: number | null): number {
  const spread = 0.5 + random / 2;
  const own =
    attempt === 0 ? 0 : Math.min(LIMITS.backoffMaxMs, LIMITS.backoffFirstMs * 2 ** (attempt - 1)) * spread;
  // What the server asks for is a least, so the spread goes on top of it.
  return retryAfterS === null ? own : Math.max(own, retryAfterS * 1000 + random * LIMITS.hintSpreadMs);
}

/** The protocol the next connection uses. */
export function pickProtocol(state: State): Protocol {
  if (state.choice !== 'auto') return state.choice;
  return state.canWhep && !state.fallback ? 'whep' : 'hls';
}

// Transitions. Each returns a whole step, and is named for what it means to the viewer.

const stay = (state: State): Step => ({ state, effects: [] });

function enter(state: State, phase: Phase, at: Moment, wakeInMs: number | null): State {
  return { ...state, phase, sinceMs: at.nowMs, wakeAtMs: wakeInMs === null ? null : at.nowMs + wakeInMs };
}

function ask(state: State, at: Moment): Step {
  const next = enter({ ...state, epoch: state.epoch + 1 }, 'asking', at, LIMITS.askMs);
  return { state: next, effects: [{ type: 'open-session', epoch: next.epoch }] };
}

function connect(state: State, session: Session, at: Moment): Step {
  const protocol = pickProtocol(state);
  const next = enter(
    { ...state, epoch: state.epoch + 1, session, protocol, linked: false, progress: 0 },
    'connecting',
    at,
    LIMITS.linkMs[protocol],
  );
  return { state: next, effects: [{ type: 'connect', epoch: next.epoch, protocol, session }] };
}

/** Drops the transport and connects again over the same session. */
function reconnect(state: State, session: Session, at: Moment): Step {
  const step = connect(state, session, at);
  return { state: step.state, effects: [{ type: 'disconnect' }, ...step.effects] };
}

/** Lets go of transport and session. */
function release(state: State): Step {
  const effects: Effect[] = [{ type: 'disconnect' }];
  if (state.session) effects.push({ type: 'close-session', session: state.session });
  return {
    state: { ...state, epoch: state.epoch + 1, session: null, protocol: null, linked: false },
    effects,
  };
}

/** Gives this attempt up; the next one is a new session, at once or after a while. */
function retry(state: State, at: Moment, trouble: string, retryAfterS: number | null): Step {
  const freed = release(state);
  const delay = backoffMs(state.attempt, at.random, retryAfterS);
  const counted: State = { ...freed.state, attempt: state.attempt + 1, trouble };
  if (delay > 0) return { state: enter(counted, 'backoff', at, delay), effects: freed.effects };
  const asked = ask(counted, at);
  return { state: asked.state, effects: [...freed.effects, ...asked.effects] };
}

function finish(state: State, phase: 'over' | 'missing' | 'idle', at: Moment): Step {
  const freed = release(state);
  return { state: enter(freed.state, phase, at, null), effects: freed.effects };
}

function probe(state: State, phase: 'stalled' | 'waiting', at: Moment, everyMs: number): Step {
  const next =
    state.phase === phase ? { ...state, wakeAtMs: at.nowMs + everyMs } : enter(state, phase, at, everyMs);
  if (state.session === null) return ask(next, at);
  return { state: next, effects: [{ type: 'probe', epoch: state.epoch, session: state.session }] };
}

/** Asks the edge while it goes on playing; at most once until pictures come again. */
function doubt(state: State): Step {
  const effects: Effect[] = state.session ? [{ type: 'probe', epoch: state.epoch, session: state.session }] : [];
  return { state: { ...state, wakeAtMs: null }, effects };
}

const due = (state: State, at: Moment): boolean => state.wakeAtMs !== null && at.nowMs >= state.wakeAtMs;

const isOver = (seen: Seen | null): boolean => seen?.state === 'ended' || seen?.state === 'cancelled';
const isOpen = (seen: Seen | null): boolean => seen?.state === 'open' || seen?.state === 'live';

type Of<T extends PlayerEvent['type']> = Extract<PlayerEvent, { type: T }>;
type Handlers = { [T in PlayerEvent['type']]?: (state: State, event: Of<T>, at: Moment) => Step };

// What several phases do alike.

function onProgress(state: State, event: Of<'progress'>, at: Moment): Step {
  if (event.value === state.progress) return stay(state);
  const going: State = { ...state, progress: event.value, progressAtMs: at.nowMs };
  if (state.phase === 'playing') {
    const calm: State = { ...going, wakeAtMs: at.nowMs + LIMITS.doubtMs };
    const steady = at.nowMs - state.sinceMs >= LIMITS.steadyMs;
    return stay(steady && state.attempt > 0 ? { ...calm, attempt: 0, trouble: '' } : calm);
  }
  return stay(enter({ ...going, linked: true, played: true }, 'playing', at, LIMITS.doubtMs));
}

function onLost(state: State, event: Of<'lost'>, at: Moment): Step {
  const blocked = state.phase === 'connecting' && state.protocol === 'whep' && event.reason === 'ice';
  if (blocked && state.choice === 'auto' && state.session) {
    return reconnect({ ...state, fallback: true, trouble: event.message }, state.session, at);
  }
  const fallback = state.protocol === 'hls' ? false : state.fallback;
  return retry({ ...state, fallback }, at, event.message, event.retryAfterS);
}

function onProbed(state: State, event: Of<'probed'>, at: Moment): Step {
  const known: State = event.seen ? { ...state, seen: event.seen } : state;
  if (isOver(known.seen)) return finish(known, 'over', at);
  if (!event.alive) return retry(known, at, 'The edge does not answer.', null);
  if (known.seen?.flowing === false) {
    return stay(known.phase === 'waiting' ? known : enter(known, 'waiting', at, LIMITS.waitProbeEveryMs));
  }
  return known.phase === 'waiting' && event.seen ? resumeFlow(known, at) : stay(known);
}

/** The encoder is back: pictures should follow within the stall's grace, else a new session is taken. */
function resumeFlow(state: State, at: Moment): Step {
  return stay(enter(state, 'stalled', at, LIMITS.probeEveryMs));
}

function onChoose(state: State, event: Of<'choose'>, at: Moment): Step {
  const chosen: State = { ...state, choice: event.choice, fallback: false };
  if (chosen.session === null || pickProtocol(chosen) === chosen.protocol) return stay(chosen);
  return reconnect({ ...chosen, attempt: 0 }, chosen.session, at);
}

/**
 * The edge is to be left while all is well. By WebRTC the runner connects a second transport first;
 * HLS has the one media element to itself, so it asks anew, which its viewers see.
 */
function onMove(state: State, _event: Of<'move'>, at: Moment): Step {
  if (state.protocol === 'whep') return { state, effects: [{ type: 'hand-over', epoch: state.epoch }] };
  const freed = release(state);
  const asked = ask(freed.state, at);
  return { state: asked.state, effects: [...freed.effects, ...asked.effects] };
}

/** The runner plays from another edge already. */
function onMoved(state: State, event: Of<'moved'>, at: Moment): Step {
  if (state.session === null) return { state, effects: [{ type: 'close-session', session: event.session }] };
  const moved: State = { ...state, epoch: state.epoch + 1, session: event.session, progress: 0, progressAtMs: at.nowMs };
  return { state: moved, effects: [{ type: 'close-session', session: state.session }] };
}

const ANYWHERE: Handlers = {
  moved: onMoved,
  seen: (state, event, at) => {
    const known: State = { ...state, seen: event.seen };
    return isOver(event.seen) ? finish(known, 'over', at) : stay(known);
  },
  choose: onChoose,
  pause: (state) => stay({ ...state, paused: true }),
  resume: (state, _event, at) => stay({ ...state, paused: false, progressAtMs: at.nowMs }),
  leave: (state, _event, at) => finish(state, 'idle', at),
};

const choiceOnly: Handlers['choose'] = (state, event) =>
  stay({ ...state, choice: event.choice, fallback: false });

/** The machine: what each phase answers to. What is not listed here or in ANYWHERE is ignored. */
export const TABLE: Readonly<Record<Phase, Handlers>> = {
  idle: {
    start: (state, _event, at) => {
      if (isOver(state.seen)) return finish(state, 'over', at);
      if (state.seen?.state === 'scheduled') return stay(enter(state, 'early', at, LIMITS.earlyLookEveryMs));
      return ask({ ...state, attempt: 0, trouble: '' }, at);
    },
    seen: (state, event) => stay({ ...state, seen: event.seen }),
    leave: stay,
  },
  early: {
    seen: (state, event, at) => {
      const known: State = { ...state, seen: event.seen };
      if (isOver(event.seen)) return finish(known, 'over', at);
      return isOpen(event.seen) ? ask({ ...known, attempt: 0 }, at) : stay(known);
    },
    tick: (state, _event, at) =>
      due(state, at)
        ? { state: { ...state, wakeAtMs: at.nowMs + LIMITS.earlyLookEveryMs }, effects: [{ type: 'look' }] }
        : stay(state),
    hint: (state) => ({ state, effects: [{ type: 'look' }] }),
  },
  asking: {
    opened: (state, event, at) => connect(state, event.session, at),
    'not-opened': (state, event, at) => {
      if (event.status === 404) return finish({ ...state, trouble: event.message }, 'missing', at);
      if (event.code !== 'umbel.event_not_open') return retry(state, at, event.message, event.retryAfterS);
      // Over or not yet begun: the event itself tells which.
      const early = enter({ ...state, trouble: '' }, 'early', at, LIMITS.earlyLookEveryMs);
      return { state: early, effects: [{ type: 'look' }] };
    },
    tick: (state, _event, at) => (due(state, at) ? retry(state, at, 'No session in time.', null) : stay(state)),
  },
  backoff: {
    tick: (state, _event, at) => (due(state, at) ? ask(state, at) : stay(state)),
    // Something changed at the portal: worth trying sooner, though not all viewers in one instant.
    hint: (state, _event, at) => {
      const sooner = at.nowMs + at.random * LIMITS.hintSpreadMs;
      return stay({ ...state, wakeAtMs: Math.min(state.wakeAtMs ?? sooner, sooner) });
    },
  },
  connecting: {
    linked: (state, _event, at) =>
      stay({ ...state, linked: true, wakeAtMs: at.nowMs + LIMITS.firstPictureMs }),
    progress: onProgress,
    lost: onLost,
    tick: (state, _event, at) => {
      if (!due(state, at)) return stay(state);
      if (state.linked) return state.paused ? stay(state) : probe(state, 'stalled', at, LIMITS.probeEveryMs);
      const reason = state.protocol === 'whep' ? 'ice' : 'media';
      const message = 'The edge did not connect in time.';
      return onLost(state, { type: 'lost', epoch: state.epoch, reason, message, retryAfterS: null }, at);
    },
  },
  playing: {
    progress: onProgress,
    lost: onLost,
    move: onMove,
    resume: (state, _event, at) =>
      stay({ ...state, paused: false, progressAtMs: at.nowMs, wakeAtMs: at.nowMs + LIMITS.doubtMs }),
    shaky: (state) => doubt(state),
    probed: (state, event, at) => {
      // Pictures that came meanwhile prove the edge well, unless they come from HLS's buffer.
      const moving = state.protocol === 'whep' && at.nowMs - state.progressAtMs < LIMITS.doubtMs;
      return event.alive || moving ? stay(state) : retry(state, at, 'The edge does not answer.', null);
    },
    tick: (state, _event, at) => {
      if (state.paused) return stay(state);
      if (at.nowMs - state.progressAtMs >= LIMITS.stallMs) {
        return probe(state, 'stalled', at, LIMITS.probeEveryMs);
      }
      return due(state, at) ? doubt(state) : stay(state);
    },
  },
  stalled: {
    progress: onProgress,
    lost: onLost,
    probed: onProbed,
    tick: (state, _event, at) => {
      if (!state.paused && at.nowMs - state.sinceMs >= LIMITS.stallMaxMs) {
        return retry(state, at, 'The edge sends no pictures.', null);
      }
      return due(state, at) ? probe(state, 'stalled', at, LIMITS.probeEveryMs) : stay(state);
    },
  },
  waiting: {
    progress: onProgress,
    lost: onLost,
    probed: onProbed,
    seen: (state, event, at) => {
      const known: State = { ...state, seen: event.seen };
      if (isOver(event.seen)) return finish(known, 'over', at);
      return event.seen.flowing === true ? resumeFlow(known, at) : stay(known);
    },
    tick: (state, _event, at) =>
      due(state, at) ? probe(state, 'waiting', at, LIMITS.waitProbeEveryMs) : stay(state),
    hint: (state, _event, at) => probe(state, 'waiting', at, LIMITS.waitProbeEveryMs),
  },
  over: {
    // An operator may open an event again.
    seen: (state, event, at) => {
      const known: State = { ...state, seen: event.seen };
      return isOpen(event.seen) ? ask({ ...known, attempt: 0 }, at) : stay(known);
    },
    choose: choiceOnly,
  },
  missing: { seen: (state, event) => stay({ ...state, seen: event.seen }), choose: choiceOnly },
};

/** One step. An answer to an attempt that was given up changes nothing, except that its session is closed. */
export function step(state: State, event: PlayerEvent, at: Moment): Step {
  if ('epoch' in event && event.epoch !== state.epoch) {
    const late = event.type === 'opened' || event.type === 'moved';
    return { state, effects: late ? [{ type: 'close-session', session: event.session }] : [] };
  }
  const handler = (TABLE[state.phase][event.type] ?? ANYWHERE[event.type]) as
    | ((state: State, event: PlayerEvent, at: Moment) => Step)
    | undefined;
  return handler ? handler(state, event, at) : stay(state);
}
