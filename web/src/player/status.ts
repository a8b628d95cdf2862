// The machine's state as text for viewers: the status line, which screen readers read out.

import type { Protocol, State } from './model';
import { isOff, qualityName, suitable } from './quality';
import { pickProtocol } from './transitions';

export const PROTOCOL_NAMES: Readonly<Record<Protocol, string>> = { whep: 'WebRTC', hls: 'HLS' };

export type Mood = 'live' | 'busy' | 'quiet' | 'bad';

export interface Status {
  text: string;
  mood: Mood;
}

const times = (state: State): string => (state.attempt > 1 ? ` (${String(state.attempt)})` : '');

function reconnectStatus(state: State, first: string): Status {
  if (state.event?.flowing === false) return { text: 'Waiting for the encoder', mood: 'quiet' };
  if (state.attempt === 0) return { text: first, mood: 'busy' };
  const what = state.played ? 'Edge lost, reconnecting' : 'No edge available, trying again';
  return { text: `${what}${times(state)}`, mood: 'busy' };
}

/** The player's state in one short line. */
export function statusOf(state: State): Status {
  switch (state.phase) {
    case 'idle':
      return { text: 'Getting ready', mood: 'quiet' };
    case 'early':
      return { text: 'Not started yet. Playback starts automatically.', mood: 'quiet' };
    case 'opening':
    case 'backoff':
      return reconnectStatus(state, 'Finding the nearest edge');
    case 'connecting': {
      const where = `${state.session?.edge ?? 'the edge'} over ${PROTOCOL_NAMES[state.protocol ?? pickProtocol(state)]}`;
      if (state.event?.flowing === false) return reconnectStatus(state, '');
      if (state.attempt > 1) return { text: `Reconnecting to ${where}${times(state)}`, mood: 'busy' };
      return { text: `Connecting to ${where}`, mood: 'busy' };
    }
    case 'playing':
      return state.paused ? { text: 'Paused', mood: 'quiet' } : { text: 'Live', mood: 'live' };
    case 'stalled':
      return { text: 'Playback stopped, checking the edge', mood: 'busy' };
    case 'waiting':
      return { text: 'Waiting for the encoder', mood: 'quiet' };
    case 'over':
      return state.event?.state === 'cancelled'
        ? { text: 'This event was cancelled', mood: 'quiet' }
        : { text: 'This event has ended', mood: 'quiet' };
    case 'missing':
      return { text: 'Event not found', mood: 'bad' };
  }
}

/** The status of the viewer's choice of quality; empty when it plays. */
export function qualityStatus(state: State, heightPx: number): string {
  const isChanging = state.phase === 'playing' && isOff(state);
  return isChanging ? `Switching to ${qualityName(suitable(state), heightPx)}` : state.notice;
}
