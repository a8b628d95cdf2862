// Keeps something of the portal current: reads it now, after each change that concerns it, and regularly.
// After a refusal (401, 403) it does neither, until somebody asks again or signs in as another user.

import { type ApiError, asApiError } from './api';
import { follow } from './feed';
import { throttle } from './throttle';
import type { ChangeKind } from './types';

const REFETCH_MS = 1000;

export type Result<T> = { data: T } | { error: ApiError };

export interface ReadingOptions<T> {
  load: () => Promise<T>;
  concerns: (kind: ChangeKind) => boolean;
  pollMs: number;
  /** Gets each result; a late one that a newer read has overtaken is dropped. */
  show: (result: Result<T>) => void;
}

export interface Reading {
  refresh: () => void;
  stop: () => void;
}

const isRefusal = (result: Result<unknown>): boolean =>
  'error' in result && (result.error.status === 401 || result.error.status === 403);

export function keepReading<T>({ load, concerns, pollMs, show }: ReadingOptions<T>): Reading {
  let newest = 0;
  let isStopped = false;
  let pause: (() => void) | null = null;

  const read = async (): Promise<void> => {
    newest += 1;
    const mine = newest;
    let result: Result<T>;
    try {
      result = { data: await load() };
    } catch (error) {
      result = { error: asApiError(error) };
    }
    if (isStopped || mine !== newest) return;
    if (isRefusal(result)) rest();
    else watch();
    show(result);
  };
  const refresh = throttle(() => void read(), REFETCH_MS);

  /** Follow changes and poll. Idempotent. */
  function watch(): void {
    if (pause !== null) return;
    const unfollow = follow((change) => {
      if (change.kind === 'reset' || concerns(change.kind)) refresh();
    });
    const timer = setInterval(() => {
      if (!document.hidden) refresh();
    }, pollMs);
    pause = () => {
      unfollow();
      clearInterval(timer);
    };
  }

  function rest(): void {
    pause?.();
    pause = null;
    // A change that came with the refused request does not ask once more.
    refresh.cancel();
  }

  refresh();
  watch();
  return {
    refresh,
    stop: () => {
      isStopped = true;
      rest();
    },
  };
}
