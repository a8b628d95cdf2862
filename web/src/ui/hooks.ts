// The page's view of things that change elsewhere: the portal's state, the sign-in, the time.

import { useCallback, useEffect, useEffectEvent, useRef, useState, useSyncExternalStore } from 'react';

import { account, type SignIn } from '../kit/account';
import { type ApiError, asApiError } from '../kit/api';
import { keepReading, type Reading } from '../kit/reading';
import type { ChangeKind } from '../kit/types';

export interface Live<T> {
  /** The newest answer; kept while newer ones fail. */
  data: T | null;
  /** Why the last attempt failed, null when it did not. */
  error: ApiError | null;
  refresh: () => void;
}

/**
 * Reads now, again after a change of one of `kinds` (coalesced), and every `pollMs`. `key` names what is
 * read: another key starts again; null reads nothing. `first` is shown until the first answer. After a
 * refusal (401, 403) it stops.
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
  const reading = useRef<Reading | null>(null);
  const read = useEffectEvent(load);
  const concerns = useEffectEvent((kind: ChangeKind) => kinds.includes(kind));

  useEffect(() => {
    if (key === null) return undefined;
    const kept = keepReading({
      load: () => read(),
      concerns: (kind) => concerns(kind),
      pollMs,
      show: (result) => {
        setShown((before) =>
          'data' in result
            ? { key, data: result.data, error: null }
            : { key, data: before.key === key ? before.data : null, error: result.error },
        );
      },
    });
    reading.current = kept;
    return () => {
      kept.stop();
      reading.current = null;
    };
  }, [key, pollMs]);

  const refresh = useCallback(() => reading.current?.refresh(), []);
  const current = shown.key === key;
  return { data: current ? shown.data : null, error: current ? shown.error : null, refresh };
}

export function useSignIn(): SignIn | null {
  return useSyncExternalStore(account.subscribe, account.get);
}

function watchConnection(listener: () => void): () => void {
  window.addEventListener('online', listener);
  window.addEventListener('offline', listener);
  return () => {
    window.removeEventListener('online', listener);
    window.removeEventListener('offline', listener);
  };
}

/** Whether the browser has a network. */
export function useOnline(): boolean {
  return useSyncExternalStore(watchConnection, () => navigator.onLine);
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
