// The transitions that the player's phases share. Pure; each returns a whole step. `machine.ts` has the
// table of phases and events.

import type { Session } from '../kit/types';
import { type Effect, LIMITS, type Moment, type Phase, type Protocol, type State, type Step } from './model';
import { aimOf, VP8 } from './quality';

/** The delay before attempt n (0: none): it doubles up to a limit, with jitter to spread the viewers. */
export function backoffMs(attempt: number, random: number, retryAfterS: number | null): number {
  const spread = 0.5 + random / 2;
  const own = attempt === 0 ? 0 : Math.min(LIMITS.backoffMaxMs, LIMITS.backoffFirstMs * 2 ** (attempt - 1)) * spread;
  // The server's value is a minimum, so the jitter is added to it.
  return retryAfterS === null ? own : Math.max(own, retryAfterS * 1000 + random * LIMITS.hintSpreadMs);
}

/** The protocol the next connection uses. */
export function pickProtocol(state: State, quality: string = aimOf(state)): Protocol {
  if (quality === VP8) return 'whep';
  if (state.choice !== 'auto') return state.choice;
  return state.canWhep && !state.fallback ? 'whep' : 'hls';
}

export const stay = (state: State): Step => ({ state, effects: [] });

export function enter(state: State, phase: Phase, at: Moment, wakeInMs: number | null): State {
  return { ...state, phase, sinceMs: at.nowMs, wakeAtMs: wakeInMs === null ? null : at.nowMs + wakeInMs };
}

export function openSession(state: State, at: Moment): Step {
  const next = enter({ ...state, epoch: state.epoch + 1 }, 'opening', at, LIMITS.openMs);
  return { state: next, effects: [{ type: 'open-session', epoch: next.epoch, quality: aimOf(next) }] };
}

export function connect(state: State, session: Session, at: Moment): Step {
  const protocol = pickProtocol(state, session.quality);
  const next = enter(
    { ...state, epoch: state.epoch + 1, session, protocol, linked: false, progress: 0 },
    'connecting',
    at,
    LIMITS.linkMs[protocol],
  );
  return { state: next, effects: [{ type: 'connect', epoch: next.epoch, protocol, session }] };
}

/** Drops the transport and connects again over the same session. */
export function reconnect(state: State, session: Session, at: Moment): Step {
  const step = connect(state, session, at);
  return { state: step.state, effects: [{ type: 'disconnect' }, ...step.effects] };
}

/** Closes transport and session. */
export function release(state: State): Step {
  const effects: Effect[] = [{ type: 'disconnect' }];
  if (state.session) effects.push({ type: 'close-session', session: state.session });
  return {
    state: { ...state, epoch: state.epoch + 1, session: null, protocol: null, linked: false },
    effects,
  };
}

/** Closes the session and opens another at once. */
export function renew(state: State, at: Moment): Step {
  const freed = release(state);
  const opened = openSession(freed.state, at);
  return { state: opened.state, effects: [...freed.effects, ...opened.effects] };
}

/** Plays on while another session is opened and, where two can be at once, connected. */
export function handOver(state: State): Step {
  const { epoch, session: left, protocol } = state;
  if (left === null || protocol === null) return stay(state);
  const quality = aimOf(state);
  const isSame = pickProtocol(state, quality) === protocol;
  return { state, effects: [{ type: 'hand-over', epoch, left, protocol: isSame ? protocol : 'hls', quality }] };
}

/** Abandons this attempt; the next one opens a new session, at once or after a delay. */
export function retry(state: State, at: Moment, trouble: string, retryAfterS: number | null): Step {
  const freed = release(state);
  const delay = backoffMs(state.attempt, at.random, retryAfterS);
  const counted: State = { ...freed.state, attempt: state.attempt + 1, trouble };
  if (delay > 0) return { state: enter(counted, 'backoff', at, delay), effects: freed.effects };
  const opened = openSession(counted, at);
  return { state: opened.state, effects: [...freed.effects, ...opened.effects] };
}

export function finish(state: State, phase: 'over' | 'missing' | 'idle', at: Moment): Step {
  const freed = release(state);
  return { state: enter(freed.state, phase, at, null), effects: freed.effects };
}

export function probe(state: State, phase: 'stalled' | 'waiting', at: Moment, everyMs: number): Step {
  const next = state.phase === phase ? { ...state, wakeAtMs: at.nowMs + everyMs } : enter(state, phase, at, everyMs);
  if (state.session === null) return openSession(next, at);
  return { state: next, effects: [{ type: 'probe', epoch: state.epoch, session: state.session }] };
}

/** Probes the edge while it plays on; at most once until new pictures come. */
export function doubt(state: State): Step {
  const effects: Effect[] = state.session ? [{ type: 'probe', epoch: state.epoch, session: state.session }] : [];
  return { state: { ...state, wakeAtMs: null }, effects };
}

export const due = (state: State, at: Moment): boolean => state.wakeAtMs !== null && at.nowMs >= state.wakeAtMs;
