// A player for a page, as a hook. In: an event and a video element. Out: the player, while both are there.

import { useEffect, useEffectEvent, useState } from 'react';

import { follow } from '../kit/feed';
import { throttle } from '../kit/throttle';
import type { ChangeKind, LiveEvent } from '../kit/types';
import { createPlayer, exposeHook } from './browser';
import { followDrain } from './follow-drain';
import { preferencesOf } from './preferences';
import type { Player } from './runner';

const HINTS: readonly ChangeKind[] = ['event', 'tree', 'session'];
const HINT_EVERY_MS = 1000;

/** A player while this page is shown. It starts again when the browser restores the page from its cache. */
export function usePlayer(event: LiveEvent | null, video: HTMLVideoElement | null): Player | null {
  const [player, setPlayer] = useState<Player | null>(null);
  const eventId = event?.id ?? null;
  const newest = useEffectEvent(() => event);

  useEffect(() => {
    if (eventId === null || video === null) return undefined;
    const created = createPlayer(eventId, video, preferencesOf(eventId, location.search));
    const hide = exposeHook(created);
    const hint = throttle(() => {
      created.send({ type: 'hint' });
    }, HINT_EVERY_MS);
    const unfollow = follow((change) => {
      if (HINTS.includes(change.kind)) hint();
    });
    const unfollowDrain = followDrain(created);
    const leave = (): void => {
      created.stop();
    };
    const back = (shown: PageTransitionEvent): void => {
      if (shown.persisted) created.start(newest());
    };
    window.addEventListener('pagehide', leave);
    window.addEventListener('pageshow', back);
    window.addEventListener('online', hint);
    created.start(newest());
    setPlayer(created);
    return () => {
      window.removeEventListener('pagehide', leave);
      window.removeEventListener('pageshow', back);
      window.removeEventListener('online', hint);
      unfollow();
      unfollowDrain();
      hint.cancel();
      created.stop();
      hide();
      setPlayer(null);
    };
  }, [eventId, video]);

  useEffect(() => {
    if (player && event) player.update(event);
  }, [player, event]);

  return player;
}
