// Which quality a viewer gets of those on offer. Pure. What the viewer wants is `state.quality`; what a
// session is of, it says itself. The source quality is always there.

import type { Seen, State } from './model';

export const SOURCE = 'source';

/** What an event is known to offer, best first; not known while it has no stream. */
export const offeredBy = (seen: Seen | null): readonly string[] => seen?.qualities ?? [];

/** What the next session is asked for: what the viewer wants, or the source where that is not on offer. */
export function aimOf(state: State): string {
  return offeredBy(state.seen).includes(state.quality) ? state.quality : SOURCE;
}

/** Plays another quality than the viewer wants and could have. */
export function isOff({ quality, session, seen }: State): boolean {
  return session !== null && session.quality !== quality && offeredBy(seen).includes(quality);
}

/** What to show as chosen: what the viewer wants where that is on offer, else what plays. */
export function shownQuality(state: State): string {
  if (offeredBy(state.seen).includes(state.quality)) return state.quality;
  return state.session?.quality ?? SOURCE;
}

/** "Source (720p)", "360p"; `heightPx` is that of the source, 0 where it is not known. */
export function qualityName(quality: string, heightPx: number): string {
  if (quality !== SOURCE) return quality;
  return heightPx > 0 ? `Source (${String(heightPx)}p)` : 'Source';
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Why the viewer does not get what they chose. */
export function refusalOf(quality: string, message: string): string {
  const name = quality === SOURCE ? 'The source quality' : quality;
  return `${name} cannot be had just now: ${sentence(message)}`;
}
