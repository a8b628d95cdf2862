// Leaves an edge whose node is to rest. In: changes at the portal. Out: `move`, while the player plays.

import { type Change, follow } from '../kit/feed';
import type { Player } from './runner';

/** Not all of an edge's viewers in one instant. */
const SPREAD_MS = 2000;

/**
 * Listens in a hidden page too: who plays in the background is cut off else, when the node goes to rest.
 * Who does not play has no picture to lose. Returns the end of it.
 */
export function heedDrain(player: Player, listen = follow, random = Math.random): () => void {
  let unfollow: (() => void) | null = null;
  let moving: ReturnType<typeof setTimeout> | null = null;

  const onChange = ({ kind, subject }: Change): void => {
    if (kind !== 'drain' || player.get().state.session?.edge !== subject) return;
    // It is told again and again: the first time counts, or a fast teller would put it off for ever.
    moving ??= setTimeout(() => {
      moving = null;
      player.send({ type: 'move' });
    }, random() * SPREAD_MS);
  };
  const look = (): void => {
    const plays = player.get().state.phase === 'playing';
    if (plays) {
      unfollow ??= listen(onChange, { whileHidden: true });
    } else {
      unfollow?.();
      unfollow = null;
    }
  };

  const unsubscribe = player.subscribe(look);
  look();
  return () => {
    unsubscribe();
    unfollow?.();
    unfollow = null;
    if (moving !== null) clearTimeout(moving);
  };
}
