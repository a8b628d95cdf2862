// The player's decisions: state x event -> state + effects. Pure: time and chance come in with each
// event, nothing is awaited, and no browser is needed. `runner.ts` carries the effects out.
//
// idle -> opening -> connecting -> playing <-> stalled -> (opening | backoff | waiting)

import { t } from '../i18n/t';
import type { Session } from '../kit/types';
import {
  type Effect,
  type EventInfo,
  LIMITS,
  type Moment,
  type Phase,
  type PlayerEvent,
  type State,
  type Step,
} from './model';
import { aimOf, isOff, SOURCE, VP8 } from './quality';
import { refusalOf } from './quality-names';
import {
  connect,
  doubt,
  due,
  enter,
  finish,
  handOver,
  openSession,
  pickProtocol,
  probe,
  reconnect,
  renew,
  retry,
  stay,
} from './transitions';

const isOver = (event: EventInfo | null): boolean => event?.state === 'ended' || event?.state === 'cancelled';
const isOpen = (event: EventInfo | null): boolean => event?.state === 'open' || event?.state === 'live';

type Of<T extends PlayerEvent['type']> = Extract<PlayerEvent, { type: T }>;
type Handlers = { [T in PlayerEvent['type']]?: (state: State, event: Of<T>, at: Moment) => Step };

// Handlers that several phases share.

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
  const connecting = state.phase === 'connecting' && state.protocol === 'whep';
  if (connecting && state.choice === 'auto' && state.session) {
    const { session } = state;
    const known: State = { ...state, trouble: event.message };
    if (event.reason === 'ice') return connectOtherwise({ ...known, fallback: true }, session, at);
    // Another attempt or edge does not teach the browser a codec.
    if (event.reason === 'codec') {
      const lacking = session.quality === VP8 ? { canVp8: false } : { canWhep: false };
      return connectOtherwise({ ...known, ...lacking }, session, at);
    }
  }
  const fallback = state.protocol === 'hls' ? false : state.fallback;
  return retry({ ...state, fallback }, at, event.message, event.retryAfterS);
}

function onProbed(state: State, event: Of<'probed'>, at: Moment): Step {
  const known: State = event.info ? { ...state, event: event.info } : state;
  if (isOver(known.event)) return finish(known, 'over', at);
  if (!event.alive) return retry(known, at, t('player.edgeSilent'), null);
  if (known.event?.flowing === false) {
    return stay(known.phase === 'waiting' ? known : enter(known, 'waiting', at, LIMITS.waitProbeEveryMs));
  }
  return known.phase === 'waiting' && event.info ? resumeFlow(known, at) : stay(known);
}

/** The encoder is back. Without pictures within the limit of a stall, a new session is opened. */
function resumeFlow(state: State, at: Moment): Step {
  return stay(enter(state, 'stalled', at, LIMITS.probeEveryMs));
}

/** Connects again over the session, unless another quality suits now. */
function connectOtherwise(state: State, session: Session, at: Moment): Step {
  return isOff(state) ? renew(state, at) : reconnect(state, session, at);
}

function onChoose(state: State, event: Of<'choose'>, at: Moment): Step {
  const chosen: State = { ...state, choice: event.choice, fallback: false };
  if (chosen.session === null || pickProtocol(chosen) === chosen.protocol) return stay(chosen);
  // A pending change of quality ends with the transport that it would have replaced.
  return connectOtherwise({ ...chosen, attempt: 0 }, chosen.session, at);
}

/** The runner already plays from another edge. */
function onMoved(state: State, event: Of<'moved'>, at: Moment): Step {
  if (state.session === null) return { state, effects: [{ type: 'close-session', session: event.session }] };
  const { session } = event;
  const adopted = adoptSession(state, session);
  const moved: State = { ...adopted, epoch: state.epoch + 1, progress: 0, progressAtMs: at.nowMs, trouble: '' };
  return { state: moved, effects: [{ type: 'close-session', session: state.session }] };
}

/** Another session is open, and its transport replaces the present one. */
function onReplaced(state: State, event: Of<'replaced'>, at: Moment): Step {
  if (state.session === null) return { state, effects: [{ type: 'close-session', session: event.session }] };
  const next = connect({ ...adoptSession(state, event.session), trouble: '' }, event.session, at);
  const effects: Effect[] = [{ type: 'disconnect' }, { type: 'close-session', session: state.session }];
  return { state: next.state, effects: [...effects, ...next.effects] };
}

/** Takes the session of a hand-over. Its quality becomes the wanted one, or the machine would request it again. */
function adoptSession(state: State, session: Session): State {
  return aimOf(state) === state.quality ? { ...state, session, quality: session.quality } : { ...state, session };
}

/** The viewer gets another quality than the wanted one; the notice says why. */
function acceptQuality(state: State, quality: string, message: string, at: Moment): State {
  return { ...state, quality, notice: refusalOf(state.quality, message), noticeAtMs: at.nowMs };
}

/** A notice is shown for a limited time. */
function withoutOldNotice(state: State, at: Moment): State {
  const isOld = state.notice !== '' && at.nowMs - state.noticeAtMs >= LIMITS.noticeMs;
  return isOld ? { ...state, notice: '' } : state;
}

/** Playback goes on. A viewer who chose a quality sees why it failed; others find it in the details. */
function onNotMoved(state: State, event: Of<'not-moved'>, at: Moment): Step {
  const { session, quality } = state;
  if (session === null) return stay(state);
  const plays = session.quality;
  if (event.quality === plays)
    return stay({ ...state, trouble: t('player.couldNotLeave', { edge: session.edge, reason: event.message }) });
  const known: State = { ...state, trouble: event.message };
  if (event.quality === VP8) return stay({ ...known, canVp8: false });
  return stay(quality === event.quality ? acceptQuality(known, plays, event.message, at) : known);
}

/** Nothing plays, so the new quality is requested at once. */
function onQuality(state: State, event: Of<'quality'>, at: Moment): Step {
  const chosen: State = { ...state, quality: event.quality, notice: '' };
  return isOff(chosen) ? renew({ ...chosen, attempt: 0 }, at) : stay(chosen);
}

/** Plays on until the new quality is there. */
function onQualityInPlay(state: State, event: Of<'quality'>): Step {
  const chosen: State = { ...state, quality: event.quality, notice: '' };
  if (isOff(chosen)) return handOver(chosen);
  return { state: chosen, effects: [{ type: 'keep', quality: event.quality }] };
}

/** No session. An unavailable quality is replaced by the source. */
function onNotOpened(state: State, event: Of<'not-opened'>, at: Moment): Step {
  if (event.status === 404) return finish({ ...state, trouble: event.message }, 'missing', at);
  if (event.code === 'umbel.event_not_open') {
    // The event is over or has not begun: fetch it to know which.
    const early = enter({ ...state, trouble: '' }, 'early', at, LIMITS.earlyPollMs);
    return { state: early, effects: [{ type: 'fetch-event' }] };
  }
  const aim = aimOf(state);
  if (aim === SOURCE) return retry(state, at, event.message, event.retryAfterS);
  const without = aim === VP8 ? { ...state, canVp8: false } : acceptQuality(state, SOURCE, event.message, at);
  if (event.status === 422) return openSession(without, at);
  // HLS replaces VP8 where the portal answers, but cannot make VP8 ready.
  const isHopeless = event.code === 'umbel.no_capacity' || (aim === VP8 && event.status !== 0);
  return retry(isHopeless && state.attempt > 1 ? without : state, at, event.message, event.retryAfterS);
}

const ANYWHERE: Handlers = {
  moved: onMoved,
  replaced: onReplaced,
  'not-moved': onNotMoved,
  'event-changed': (state, event, at) => {
    const known: State = { ...state, event: event.info };
    return isOver(event.info) ? finish(known, 'over', at) : stay(known);
  },
  choose: onChoose,
  quality: onQuality,
  pause: (state) => stay({ ...state, paused: true }),
  resume: (state, _event, at) => stay({ ...state, paused: false, progressAtMs: at.nowMs }),
  leave: (state, _event, at) => finish(state, 'idle', at),
};

const choiceOnly: Handlers['choose'] = (state, event) => stay({ ...state, choice: event.choice, fallback: false });

/** The machine: the events that each phase handles. Events in neither this table nor ANYWHERE are ignored. */
export const TABLE: Readonly<Record<Phase, Handlers>> = {
  idle: {
    start: (state, _event, at) => {
      if (isOver(state.event)) return finish(state, 'over', at);
      if (state.event?.state === 'scheduled') return stay(enter(state, 'early', at, LIMITS.earlyPollMs));
      return openSession({ ...state, attempt: 0, trouble: '' }, at);
    },
    'event-changed': (state, event) => stay({ ...state, event: event.info }),
    leave: stay,
  },
  early: {
    'event-changed': (state, event, at) => {
      const known: State = { ...state, event: event.info };
      if (isOver(event.info)) return finish(known, 'over', at);
      return isOpen(event.info) ? openSession({ ...known, attempt: 0 }, at) : stay(known);
    },
    tick: (state, _event, at) =>
      due(state, at)
        ? { state: { ...state, wakeAtMs: at.nowMs + LIMITS.earlyPollMs }, effects: [{ type: 'fetch-event' }] }
        : stay(state),
    hint: (state) => ({ state, effects: [{ type: 'fetch-event' }] }),
  },
  opening: {
    opened: (state, event, at) => connect(state, event.session, at),
    'not-opened': onNotOpened,
    quality: (state, event, at) => {
      const chosen: State = { ...state, quality: event.quality, notice: '' };
      return aimOf(chosen) === aimOf(state) ? stay(chosen) : openSession(chosen, at);
    },
    tick: (state, _event, at) => (due(state, at) ? retry(state, at, t('player.openTimeout'), null) : stay(state)),
  },
  backoff: {
    tick: (state, _event, at) => (due(state, at) ? openSession(state, at) : stay(state)),
    // Something changed at the portal: try sooner, but spread the viewers.
    hint: (state, _event, at) => {
      const sooner = at.nowMs + at.random * LIMITS.hintSpreadMs;
      return stay({ ...state, wakeAtMs: Math.min(state.wakeAtMs ?? sooner, sooner) });
    },
  },
  connecting: {
    linked: (state, _event, at) => stay({ ...state, linked: true, wakeAtMs: at.nowMs + LIMITS.firstPictureMs }),
    progress: onProgress,
    lost: onLost,
    tick: (state, _event, at) => {
      if (!due(state, at)) return stay(state);
      if (state.linked) return state.paused ? stay(state) : probe(state, 'stalled', at, LIMITS.probeEveryMs);
      const reason = state.protocol === 'whep' ? 'ice' : 'media';
      const message = t('player.edgeTimeout');
      return onLost(state, { type: 'lost', epoch: state.epoch, reason, message, retryAfterS: null }, at);
    },
  },
  playing: {
    progress: onProgress,
    lost: onLost,
    // The edge is being drained while it still plays.
    move: handOver,
    quality: onQualityInPlay,
    // The wanted quality may become available later than the pictures.
    'event-changed': (state, event, at) => {
      const known: State = { ...state, event: event.info };
      if (isOver(event.info)) return finish(known, 'over', at);
      return isOff(known) ? handOver(known) : stay(known);
    },
    resume: (state, _event, at) =>
      stay({ ...state, paused: false, progressAtMs: at.nowMs, wakeAtMs: at.nowMs + LIMITS.doubtMs }),
    shaky: (state) => doubt(state),
    probed: (state, event, at) => {
      // New pictures prove that the edge is alive, unless they come from HLS's buffer.
      const moving = state.protocol === 'whep' && at.nowMs - state.progressAtMs < LIMITS.doubtMs;
      return event.alive || moving ? stay(state) : retry(state, at, t('player.edgeSilent'), null);
    },
    tick: (before, _event, at) => {
      const state = withoutOldNotice(before, at);
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
        return retry(state, at, t('player.noVideo'), null);
      }
      return due(state, at) ? probe(state, 'stalled', at, LIMITS.probeEveryMs) : stay(state);
    },
  },
  waiting: {
    progress: onProgress,
    lost: onLost,
    probed: onProbed,
    'event-changed': (state, event, at) => {
      const known: State = { ...state, event: event.info };
      if (isOver(event.info)) return finish(known, 'over', at);
      return event.info.flowing === true ? resumeFlow(known, at) : stay(known);
    },
    tick: (state, _event, at) => (due(state, at) ? probe(state, 'waiting', at, LIMITS.waitProbeEveryMs) : stay(state)),
    hint: (state, _event, at) => probe(state, 'waiting', at, LIMITS.waitProbeEveryMs),
  },
  over: {
    // An operator may open an event again.
    'event-changed': (state, event, at) => {
      const known: State = { ...state, event: event.info };
      return isOpen(event.info) ? openSession({ ...known, attempt: 0 }, at) : stay(known);
    },
    choose: choiceOnly,
  },
  missing: { 'event-changed': (state, event) => stay({ ...state, event: event.info }), choose: choiceOnly },
};

/** One step. A response to an abandoned attempt changes nothing, except that its session is closed. */
export function step(state: State, event: PlayerEvent, at: Moment): Step {
  if ('epoch' in event && event.epoch !== state.epoch) {
    const late = event.type === 'opened' || event.type === 'moved' || event.type === 'replaced';
    return { state, effects: late ? [{ type: 'close-session', session: event.session }] : [] };
  }
  const handler = (TABLE[state.phase][event.type] ?? ANYWHERE[event.type]) as
    | ((state: State, event: PlayerEvent, at: Moment) => Step)
    | undefined;
  return handler ? handler(state, event, at) : stay(state);
}
