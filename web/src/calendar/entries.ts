// What a calendar shows: events, and whether they are reserved or were watched. Pure.

import { dayKey } from '../kit/format';
import type { LiveEvent, Purpose, Reservation, Watched } from '../kit/types';
import { daysBetween, type Month, monthKey } from './month';

export interface Entry {
  event: LiveEvent;
  /** What it is reserved for; null when it is not. */
  purpose: Purpose | null;
  /** For how many seconds the viewer watched it; null when they did not. */
  watchedS: number | null;
  /** The reservation itself; null when there is none. */
  reservation: Reservation | null;
}

/**
 * Every event once, by its start. The own event of what was reserved or watched fills in where the list has it no
 * more.
 */
export function entriesOf(
  events: readonly LiveEvent[],
  reservations: readonly Reservation[],
  watched: readonly Watched[],
): Entry[] {
  const entries = new Map<string, Entry>();
  const put = (event: LiveEvent, more: Partial<Entry>): void => {
    const before = entries.get(event.id) ?? { event, purpose: null, watchedS: null, reservation: null };
    entries.set(event.id, { ...before, ...more });
  };
  for (const event of events) put(event, {});
  for (const reservation of reservations) put(reservation.event, { purpose: reservation.purpose, reservation });
  for (const { event, seconds } of watched) put(event, { watchedS: seconds });
  return [...entries.values()].sort((a, b) => Date.parse(a.event.starts_at) - Date.parse(b.event.starts_at));
}

/** The entries of each day of the month in the zone, which is the browser's if none is given. */
export function byDay(entries: readonly Entry[], month: Month, timeZone?: string): Map<string, Entry[]> {
  const days = new Map<string, Entry[]>();
  const prefix = monthKey(month);
  for (const entry of entries) {
    const { starts_at, ends_at } = entry.event;
    // What ends at midnight is not on the next day.
    const end = new Date(Math.max(Date.parse(ends_at) - 1, Date.parse(starts_at))).toISOString();
    for (const key of daysBetween(dayKey(starts_at, timeZone), dayKey(end, timeZone))) {
      if (key.startsWith(prefix)) days.set(key, [...(days.get(key) ?? []), entry]);
    }
  }
  return new Map([...days].sort(([a], [b]) => a.localeCompare(b)));
}
