// Leaves an edge whose node is drained. In: changes at the portal. Out: `move`, while the player plays.

import { type Change, follow } from '../kit/feed';
import type { Player } from './runner';

/** Spreads the viewers of an edge, so that they do not all move at once. */
const SPREAD_MS = 2000;

/**
 * Listens in a hidden page too, because a background player would lose its edge when the node goes to
 * standby. A player that does not play has nothing to lose. Returns a function that ends it.
 */
export function followDrain(player: Player, listen = follow, random = Math.random): () => void {
  let unfollow: (() => void) | null = null;
  let moving: ReturnType<typeof setTimeout> | null = null;

  const onChange = ({ kind, subject }: Change): void => {
    if (kind !== 'drain' || player.get().state.session?.edge !== subject) return;
    // The portal repeats the change. Only the first one starts the timer, or repeats would delay it for ever.
    moving ??= setTimeout(() => {
      moving = null;
      player.send({ type: 'move' });
    }, random() * SPREAD_MS);
  };
  const update = (): void => {
    const plays = player.get().state.phase === 'playing';
    if (plays) {
      unfollow ??= listen(onChange, { whileHidden: true });
    } else {
      unfollow?.();
      unfollow = null;
    }
  };

  const unsubscribe = player.subscribe(update);
  update();
  return () => {
    unsubscribe();
    unfollow?.();
    unfollow = null;
    if (moving !== null) clearTimeout(moving);
  };
}
