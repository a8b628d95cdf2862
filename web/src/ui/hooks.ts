// The page's view of things that change elsewhere: the portal's state, the sign-in, the time.

import { useCallback, useEffect, useEffectEvent, useRef, useState, useSyncExternalStore } from 'react';

import { account, type SignIn } from '../kit/account';
import { type ApiError, asApiError } from '../kit/api';
import { follow } from '../kit/feed';
import { type Throttled, throttle } from '../kit/throttle';
import type { ChangeKind } from '../kit/types';

const REFETCH_MS = 1000;

export interface Live<T> {
  /** The newest answer; kept while newer ones fail. */
  data: T | null;
  /** Why the last attempt failed, null when it did not. */
  error: ApiError | null;
  refresh: () => void;
}

/**
 * Reads now, again after a change of one of `kinds` (coalesced), and every `pollMs`. `key` names what is
 * read: another key starts again; null reads nothing. `first` is shown until the first answer.
 */
export function useLive<T>(
  key: string | null,
  load: () => Promise<T>,
  kinds: readonly ChangeKind[],
  pollMs: number,
  first: T | null = null,
): Live<T> {
  const [shown, setShown] = useState<{ key: string | null; data: T | null; error: ApiError | null }>({
    key: first === null ? null : key,
    data: first,
    error: null,
  });
  const refreshNow = useRef<Throttled | null>(null);
  const read = useEffectEvent(load);
  const concerns = useEffectEvent((kind: ChangeKind) => kind === 'reset' || kinds.includes(kind));

  useEffect(() => {
    if (key === null) return undefined;
    let newest = 0;
    let isUnmounted = false;
    let refused = false;
    const run = async (): Promise<void> => {
      newest += 1;
      const mine = newest;
      let result: { data: T } | { error: ApiError };
      try {
        result = { data: await read() };
      } catch (error) {
        result = { error: asApiError(error) };
      }
      if (isUnmounted || mine !== newest) return;
      // Reading again is useless until another user signs in, which changes the key.
      refused = 'error' in result && (result.error.status === 401 || result.error.status === 403);
      setShown((before) =>
        'data' in result
          ? { key, data: result.data, error: null }
          : { key, data: before.key === key ? before.data : null, error: result.error },
      );
    };
    const again = throttle(() => void run(), REFETCH_MS);
    refreshNow.current = again;
    again();
    const unfollow = follow((change) => {
      if (!refused && concerns(change.kind)) again();
    });
    const timer = setInterval(() => {
      if (!refused && !document.hidden) again();
    }, pollMs);
    return () => {
      isUnmounted = true;
      unfollow();
      clearInterval(timer);
      again.cancel();
      refreshNow.current = null;
    };
  }, [key, pollMs]);

  const refresh = useCallback(() => refreshNow.current?.(), []);
  const current = shown.key === key;
  return { data: current ? shown.data : null, error: current ? shown.error : null, refresh };
}

export function useSignIn(): SignIn | null {
  return useSyncExternalStore(account.subscribe, account.get);
}

/** The time, often enough for texts like "in 5 min". */
export function useNow(everyMs = 15_000): number {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      setNowMs(Date.now());
    }, everyMs);
    return () => {
      clearInterval(timer);
    };
  }, [everyMs]);
  return nowMs;
}

export interface Action {
  busy: boolean;
  error: ApiError | null;
  run: (what: () => Promise<void>) => Promise<void>;
  clear: () => void;
}

/** One thing a button does: busy while it runs, and the reason when it fails. */
export function useAction(): Action {
  const [state, setState] = useState<{ busy: boolean; error: ApiError | null }>({ busy: false, error: null });
  const run = useCallback(async (what: () => Promise<void>) => {
    setState({ busy: true, error: null });
    try {
      await what();
      setState({ busy: false, error: null });
    } catch (error) {
      setState({ busy: false, error: asApiError(error) });
    }
  }, []);
  const clear = useCallback(() => {
    setState({ busy: false, error: null });
  }, []);
  return { ...state, run, clear };
}
