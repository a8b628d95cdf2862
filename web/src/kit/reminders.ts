// Which reserved events the viewer is to be reminded of now, and of which they were. Pure but for the browser's storage.

import { t } from '../i18n/t';
import type { Reservation } from './types';

const KEY = 'umbel.reminded';
/** Older ones are forgotten: their events have begun. */
const MOST_KEPT = 50;

const LEADS = [
  { unitS: 86_400, key: 'lead.days' },
  { unitS: 3_600, key: 'lead.hours' },
  { unitS: 60, key: 'lead.minutes' },
] as const;

/** A lead time in the largest unit that it is a whole number of. */
export function leadText(leadS: number): string {
  const unit = LEADS.find(({ unitS }) => leadS % unitS === 0);
  return unit ? t(unit.key, { count: leadS / unit.unitS }) : t('lead.seconds', { count: leadS });
}

/**
 * The shortest of the chosen lead times that has come; null before all of them, and once the event begins. What came
 * before it was reserved is not made up for.
 */
function leadOf({ event, reminders, reserved_at }: Reservation, nowMs: number): number | null {
  const startMs = Date.parse(event.starts_at);
  const sinceMs = Date.parse(reserved_at);
  const come = reminders.leads_s.filter((leadS) => {
    const dueMs = startMs - leadS * 1000;
    return nowMs < startMs && dueMs <= nowMs && dueMs >= sinceMs;
  });
  return come.length === 0 ? null : Math.min(...come);
}

/** Each lead time is a reminder of its own, and a moved event has others. */
export const reminderOf = (one: Reservation, nowMs: number): string =>
  `${one.event.id} ${one.event.starts_at} ${String(leadOf(one, nowMs))}`;

/** Reserved to be watched, within a lead time, to be shown in pages, and not dismissed; the soonest first. */
export function dueReminders(
  reservations: readonly Reservation[],
  nowMs: number,
  dismissed: readonly string[],
): Reservation[] {
  return reservations
    .filter((one) => {
      const isAhead = one.event.state === 'scheduled' || one.event.state === 'open';
      const isShown = one.purpose !== 'record' && one.reminders.channels.includes('page');
      return isShown && isAhead && leadOf(one, nowMs) !== null;
    })
    .filter((one) => !dismissed.includes(reminderOf(one, nowMs)))
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
