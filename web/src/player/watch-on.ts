// Tells the portal that a signed-in viewer watches on: each minute while it plays, and once when it no longer does.

import { useEffect } from 'react';

import { api } from '../kit/portal';
import { useSnapshot } from './panel';
import type { Player } from './runner';

const EVERY_MS = 60_000;

/** The portal keeps nothing of viewers who are not signed in, so nothing is sent for them. */
export function useWatchOn(player: Player, eventId: string, isSignedIn: boolean): void {
  const { phase, paused } = useSnapshot(player).state;
  const isWatching = isSignedIn && phase === 'playing' && !paused;
  useEffect(() => {
    if (!isWatching) return undefined;
    const send = (): void => {
      // The next one counts the time of a lost one, too.
      api.watchOn(eventId).catch(() => undefined);
    };
    const timer = setInterval(send, EVERY_MS);
    window.addEventListener('pagehide', send);
    return () => {
      clearInterval(timer);
      window.removeEventListener('pagehide', send);
      send();
    };
  }, [isWatching, eventId]);
}
