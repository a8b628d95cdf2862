// The player's decisions: state x event -> state + effects. Pure: time and chance come in with each
// event, nothing is awaited, no browser is known. `runner.ts` carries the effects out.
//
// idle -> asking -> connecting -> playing <-> stalled -> (asking | backoff | waiting)

import { LIMITS, type Moment, type Phase, type PlayerEvent, type Seen, type State, type Step } from './model';
import { ask, connect, doubt, due, enter, finish, pickProtocol, probe, reconnect, release, retry, stay } from './moves';

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
  const { protocol, session, epoch } = state;
  if (protocol === 'whep' && session) return { state, effects: [{ type: 'hand-over', epoch, session }] };
  const freed = release(state);
  const asked = ask(freed.state, at);
  return { state: asked.state, effects: [...freed.effects, ...asked.effects] };
}

/** The runner plays from another edge already. */
function onMoved(state: State, event: Of<'moved'>, at: Moment): Step {
  if (state.session === null) return { state, effects: [{ type: 'close-session', session: event.session }] };
  const { session } = event;
  const moved: State = { ...state, epoch: state.epoch + 1, session, progress: 0, progressAtMs: at.nowMs, trouble: '' };
  return { state: moved, effects: [{ type: 'close-session', session: state.session }] };
}

/** What plays goes on; whoever wonders why it did not move can read it. */
function onNotMoved(state: State, event: Of<'not-moved'>): Step {
  return stay({ ...state, trouble: `Asked to leave ${state.session?.edge ?? 'the edge'}: ${event.message}` });
}

const ANYWHERE: Handlers = {
  moved: onMoved,
  'not-moved': onNotMoved,
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
