// Which of the offered qualities a viewer gets. Pure. `state.quality` is what the viewer wants, and
// `session.quality` what a session has. The source quality is always available.

import type { EventInfo, State } from './model';

export const SOURCE = 'source';

/** The qualities that an event offers, best first; empty while it has no stream. */
export const offeredBy = (event: EventInfo | null): readonly string[] => event?.qualities ?? [];

/** The quality to request: what the viewer wants, or the source where that is not offered. */
export function aimOf(state: State): string {
  return offeredBy(state.event).includes(state.quality) ? state.quality : SOURCE;
}

/** It plays another quality than the wanted one, which is on offer. */
export function isOff({ quality, session, event }: State): boolean {
  return session !== null && session.quality !== quality && offeredBy(event).includes(quality);
}

/** What to show as chosen: what the viewer wants where that is on offer, else what plays. */
export function shownQuality(state: State): string {
  if (offeredBy(state.event).includes(state.quality)) return state.quality;
  return state.session?.quality ?? SOURCE;
}

/** "Source (720p)", "360p"; `heightPx` is that of the source, 0 where it is not known. */
export function qualityName(quality: string, heightPx: number): string {
  if (quality !== SOURCE) return quality;
  return heightPx > 0 ? `Source (${String(heightPx)}p)` : 'Source';
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Why the viewer does not get the chosen quality. */
export function refusalOf(quality: string, message: string): string {
  const name = quality === SOURCE ? 'The source quality' : quality;
  return `${name} is not available now: ${sentence(message)}`;
}
