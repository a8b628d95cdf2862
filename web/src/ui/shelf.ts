// Keeps what discover shows current, also while more of it is shown and while another search is on its way.

import { useEffect, useRef, useState } from 'react';

import { api } from '../kit/portal';
import { type Counts, FIRST, readShelf, type Shelf, STEP } from '../kit/shelf';
import type { ChangeKind, Section } from '../kit/types';
import { type Live, useLive } from './hooks';

const KINDS: readonly ChangeKind[] = ['event', 'session', 'provider'];
const POLL_MS = 15_000;

/** The last value that was there. */
export function useLast<T>(value: T | null): T | null {
  const [last, setLast] = useState(value);
  if (value !== null && value !== last) setLast(value);
  return value ?? last;
}

/** Reads again at once when what is read grows. */
export function useGrowing<T>(live: Live<T>, size: string): Live<T> {
  const { refresh } = live;
  const before = useRef(size);
  useEffect(() => {
    if (before.current === size) return;
    before.current = size;
    refresh();
  }, [size, refresh]);
  return live;
}

export interface ShelfReading {
  shelf: Shelf | null;
  /** Whether what is shown is that of another search. */
  isStale: boolean;
  error: Live<Shelf>['error'];
  refresh: () => void;
  more: (section: Section) => void;
}

export function useShelf(query: string, providerId: string | null): ShelfReading {
  const [counts, setCounts] = useState<Counts>(FIRST);
  const [before, setBefore] = useState(query);
  if (before !== query) {
    setBefore(query);
    setCounts(FIRST);
  }
  const key = `shelf ${providerId ?? ''} ${query}`;
  const live = useLive(key, () => readShelf(api, query, providerId, counts), KINDS, POLL_MS);
  const { data, error, refresh } = useGrowing(live, JSON.stringify(counts));
  return {
    shelf: useLast(data),
    isStale: data === null,
    error,
    refresh,
    more: (section) => {
      setCounts((now) => ({ ...now, [section]: now[section] + STEP }));
    },
  };
}
