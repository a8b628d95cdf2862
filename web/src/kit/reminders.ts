// Which reserved events begin soon, and of which the viewer was reminded. Pure but for the browser's storage.

import type { Reservation } from './types';

const LEAD_MS = 600_000;
const KEY = 'umbel.reminded';
/** Older ones are forgotten: their events have begun. */
const MOST_KEPT = 50;

/** A moved event has another name. */
export const reminderOf = ({ event }: Reservation): string => `${event.id} ${event.starts_at}`;

/** Reserved to be watched, beginning within ten minutes, and not dismissed; the soonest first. */
export function dueReminders(
  reservations: readonly Reservation[],
  nowMs: number,
  dismissed: readonly string[],
): Reservation[] {
  return reservations
    .filter((one) => {
      const leftMs = Date.parse(one.event.starts_at) - nowMs;
      const isAhead = one.event.state === 'scheduled' || one.event.state === 'open';
      return one.purpose === 'watch' && isAhead && leftMs > 0 && leftMs <= LEAD_MS;
    })
    .filter((one) => !dismissed.includes(reminderOf(one)))
    .sort((a, b) => Date.parse(a.event.starts_at) - Date.parse(b.event.starts_at));
}

export function parseDismissed(text: string | null): string[] {
  try {
    const found: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(found) ? found.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

const listeners = new Set<() => void>();

function changed(): void {
  for (const listener of [...listeners]) listener();
}

function onStorage(event: StorageEvent): void {
  if (event.key === KEY || event.key === null) changed();
}

/** Shared by the tabs of the browser, so that each reminder is dismissed once. */
export const dismissals = {
  get: (): string => localStorage.getItem(KEY) ?? '[]',
  add(name: string): void {
    const kept = [...parseDismissed(dismissals.get()), name].slice(-MOST_KEPT);
    localStorage.setItem(KEY, JSON.stringify(kept));
    changed();
  },
  subscribe(listener: () => void): () => void {
    if (listeners.size === 0) window.addEventListener('storage', onStorage);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) window.removeEventListener('storage', onStorage);
    };
  },
};
