// Which of the offered qualities a viewer gets. Pure. `state.quality` is what the viewer wants, and
// `session.quality` what a session has. The source quality is always available. The quality `vp8` replaces the
// source where WebRTC has no H.264; it has no HLS.

import type { EventInfo, State } from './model';

export const SOURCE = 'source';
export const VP8 = 'vp8';

/** The qualities that an event offers, best first; empty while it has no stream. */
export const offeredBy = (event: EventInfo | null): readonly string[] => event?.qualities ?? [];

/** What suits the viewer's wish and browser, on offer or not. */
export function suitable({ quality, choice, canWhep, canVp8, fallback }: State): string {
  const wantsVp8 = quality === VP8 || (quality === SOURCE && !canWhep);
  if (wantsVp8 && canVp8 && choice !== 'hls' && !fallback) return VP8;
  return quality === VP8 ? SOURCE : quality;
}

/** The quality to request: what suits, or the source where that is not offered. */
export function aimOf(state: State): string {
  const quality = suitable(state);
  return offeredBy(state.event).includes(quality) ? quality : SOURCE;
}

/** It plays another quality than the suitable one, which is on offer; or VP8, which does not suit any more. */
export function isOff(state: State): boolean {
  const { session, event } = state;
  const quality = suitable(state);
  if (session === null || session.quality === quality) return false;
  return session.quality === VP8 || offeredBy(event).includes(quality);
}

/** The qualities to choose from. VP8 is a matter of the browser, and shown only where the address asked for it. */
export function choosable({ event, quality }: State): readonly string[] {
  return offeredBy(event).filter((offered) => offered !== VP8 || quality === VP8);
}

/** What to show as chosen: what the viewer wants where that is on offer, else what plays. */
export function shownQuality(state: State): string {
  if (offeredBy(state.event).includes(state.quality)) return state.quality;
  return state.session?.quality ?? SOURCE;
}
