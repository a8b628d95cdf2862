// The machine's state as text for viewers: the status line, which screen readers read out.

import { t } from '../i18n/t';
import type { Protocol, State } from './model';
import { isOff, suitable } from './quality';
import { qualityName } from './quality-names';
import { pickProtocol } from './transitions';

export const PROTOCOL_NAMES: Readonly<Record<Protocol, string>> = { whep: 'WebRTC', hls: 'HLS' };

export type Mood = 'live' | 'busy' | 'quiet' | 'bad';

export interface Status {
  text: string;
  mood: Mood;
}

const counted = (state: State, what: string): string =>
  state.attempt > 1 ? t('status.times', { what, attempt: state.attempt }) : what;

function reconnectStatus(state: State, first: string): Status {
  if (state.event?.flowing === false) return { text: t('status.waiting'), mood: 'quiet' };
  if (state.attempt === 0) return { text: first, mood: 'busy' };
  const what = state.played ? t('status.edgeLost') : t('status.noEdge');
  return { text: counted(state, what), mood: 'busy' };
}

/** The player's state in one short line. */
export function statusOf(state: State): Status {
  switch (state.phase) {
    case 'idle':
      return { text: t('status.gettingReady'), mood: 'quiet' };
    case 'early':
      return { text: t('status.early'), mood: 'quiet' };
    case 'opening':
    case 'backoff':
      return reconnectStatus(state, t('status.finding'));
    case 'connecting': {
      const where = t('status.edgeOver', {
        edge: state.session?.edge ?? t('status.theEdge'),
        protocol: PROTOCOL_NAMES[state.protocol ?? pickProtocol(state)],
      });
      if (state.event?.flowing === false) return reconnectStatus(state, '');
      if (state.attempt > 1) return { text: counted(state, t('status.reconnecting', { where })), mood: 'busy' };
      return { text: t('status.connecting', { where }), mood: 'busy' };
    }
    case 'playing':
      return state.paused ? { text: t('status.paused'), mood: 'quiet' } : { text: t('state.live'), mood: 'live' };
    case 'stalled':
      return { text: t('status.stalled'), mood: 'busy' };
    case 'waiting':
      return { text: t('status.waiting'), mood: 'quiet' };
    case 'over':
      return state.event?.state === 'cancelled'
        ? { text: t('event.cancelled'), mood: 'quiet' }
        : { text: t('event.ended'), mood: 'quiet' };
    case 'missing':
      return { text: t('event.notFound'), mood: 'bad' };
  }
}

/** The status of the viewer's choice of quality; empty when it plays. */
export function qualityStatus(state: State, heightPx: number): string {
  const isChanging = state.phase === 'playing' && isOff(state);
  return isChanging ? t('status.switching', { quality: qualityName(suitable(state), heightPx) }) : state.notice;
}
