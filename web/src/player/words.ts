// The machine's state in words a viewer understands: the status line, read out by screen readers.

import type { Protocol, State } from './model';
import { pickProtocol } from './moves';
import { isOff, qualityName } from './quality';

export const PROTOCOL_NAMES: Readonly<Record<Protocol, string>> = { whep: 'WebRTC', hls: 'HLS' };

export type Mood = 'live' | 'busy' | 'quiet' | 'bad';

export interface Status {
  text: string;
  mood: Mood;
}

const times = (state: State): string => (state.attempt > 1 ? ` (${String(state.attempt)})` : '');

function gettingThere(state: State, first: string): Status {
  if (state.seen?.flowing === false) return { text: 'The encoder is away; waiting', mood: 'quiet' };
  if (state.attempt === 0) return { text: first, mood: 'busy' };
  const what = state.played ? 'Edge lost, reconnecting' : 'No edge yet, trying again';
  return { text: `${what}${times(state)}`, mood: 'busy' };
}

/** What the player is doing, in one short line. */
export function describe(state: State): Status {
  switch (state.phase) {
    case 'idle':
      return { text: 'Getting ready', mood: 'quiet' };
    case 'early':
      return { text: 'Not started yet; this page goes live by itself', mood: 'quiet' };
    case 'asking':
    case 'backoff':
      return gettingThere(state, 'Finding the nearest edge');
    case 'connecting': {
      const where = `${state.session?.edge ?? 'the edge'} by ${PROTOCOL_NAMES[state.protocol ?? pickProtocol(state)]}`;
      if (state.seen?.flowing === false) return gettingThere(state, '');
      if (state.attempt > 1) return { text: `Reconnecting to ${where}${times(state)}`, mood: 'busy' };
      return { text: `Connecting to ${where}`, mood: 'busy' };
    }
    case 'playing':
      return state.paused ? { text: 'Paused', mood: 'quiet' } : { text: 'Live', mood: 'live' };
    case 'stalled':
      return { text: 'The picture has stopped; checking the edge', mood: 'busy' };
    case 'waiting':
      return { text: 'The encoder is away; waiting', mood: 'quiet' };
    case 'over':
      return state.seen?.state === 'cancelled'
        ? { text: 'This event was cancelled', mood: 'quiet' }
        : { text: 'This event has ended', mood: 'quiet' };
    case 'missing':
      return { text: 'There is no such event', mood: 'bad' };
  }
}

/** What becomes of the viewer's choice of quality; empty when it plays. */
export function describeQuality(state: State, heightPx: number): string {
  const isChanging = state.phase === 'playing' && isOff(state);
  return isChanging ? `Changing to ${qualityName(state.quality, heightPx)}` : state.notice;
}
