// What a calendar shows: events, and whether they are reserved. Pure.

import { dayKey } from '../kit/format';
import type { LiveEvent, Purpose, Reservation } from '../kit/types';
import { daysBetween, type Month, monthKey } from './month';

export interface Entry {
  event: LiveEvent;
  /** What it is reserved for; null when it is not. */
  purpose: Purpose | null;
  /** The reservation itself; null when there is none. */
  reservation: Reservation | null;
}

/** Every event once, by its start. A reservation's own event fills in where the list has it no more. */
export function entriesOf(events: readonly LiveEvent[], reservations: readonly Reservation[]): Entry[] {
  const entries = new Map<string, Entry>(
    events.map((event) => [event.id, { event, purpose: null, reservation: null }]),
  );
  for (const reservation of reservations) {
    const { event, purpose } = reservation;
    entries.set(event.id, { event: entries.get(event.id)?.event ?? event, purpose, reservation });
  }
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
