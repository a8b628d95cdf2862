// Formats values for people, in the language of the page. The zone and the present time are arguments, and the locale
// may be one.

import { currentLocale } from '../i18n/language';
import { t } from '../i18n/t';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export function formatTime(iso: string, locale: string = currentLocale(), timeZone?: string): string {
  return new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', timeZone }).format(new Date(iso));
}

export function formatDateTime(iso: string, locale: string = currentLocale(), timeZone?: string): string {
  const options: Intl.DateTimeFormatOptions = { dateStyle: 'medium', timeStyle: 'short' };
  return new Intl.DateTimeFormat(locale, { ...options, timeZone }).format(new Date(iso));
}

/** A range of time; the parts that both ends share appear once. */
export function formatSpan(
  startIso: string,
  endIso: string,
  locale: string = currentLocale(),
  timeZone?: string,
): string {
  const options: Intl.DateTimeFormatOptions = { dateStyle: 'medium', timeStyle: 'short' };
  return new Intl.DateTimeFormat(locale, { ...options, timeZone }).formatRange(new Date(startIso), new Date(endIso));
}

/** A calendar day as YYYY-MM-DD in the zone: equal keys are the same day there. */
export function dayKey(iso: string, timeZone?: string): string {
  const parts = new Intl.DateTimeFormat('en-CA', { year: 'numeric', month: '2-digit', day: '2-digit', timeZone });
  return parts.format(new Date(iso));
}

/** The key of the day so many days later. UTC has no changes of the clock: each of its days has 24 h. */
export function addDays(key: string, count: number): string {
  return new Date(Date.parse(`${key}T00:00:00Z`) + count * DAY_MS).toISOString().slice(0, 10);
}

/** "Today", "Tomorrow", else the weekday and date. */
export function dayLabel(iso: string, nowMs: number, locale: string = currentLocale(), timeZone?: string): string {
  const key = dayKey(iso, timeZone);
  const today = dayKey(new Date(nowMs).toISOString(), timeZone);
  if (key === today) return t('time.today');
  // Where clocks change, 24 h from now may be today or the day after tomorrow.
  if (key === addDays(today, 1)) return t('time.tomorrow');
  const options: Intl.DateTimeFormatOptions = { weekday: 'long', day: 'numeric', month: 'long' };
  return new Intl.DateTimeFormat(locale, { ...options, timeZone }).format(new Date(iso));
}

export interface Day<T> {
  key: string;
  label: string;
  items: T[];
}

/** Groups by local day, earliest first. */
export function groupByDay<T extends { starts_at: string }>(
  items: readonly T[],
  nowMs: number,
  locale: string = currentLocale(),
  timeZone?: string,
): Day<T>[] {
  const days = new Map<string, Day<T>>();
  const ordered = [...items].sort((a, b) => Date.parse(a.starts_at) - Date.parse(b.starts_at));
  for (const item of ordered) {
    const key = dayKey(item.starts_at, timeZone);
    const day = days.get(key) ?? { key, label: dayLabel(item.starts_at, nowMs, locale, timeZone), items: [] };
    day.items.push(item);
    days.set(key, day);
  }
  return [...days.values()];
}

/** A number as the language writes it, with so many digits after the point. */
export const formatNumber = (value: number, digits = 0): string =>
  new Intl.NumberFormat(currentLocale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(
    value,
  );

/** How far away a moment is: "in 5 min", "in 3 h", "12 min ago". */
export function formatDistance(iso: string, nowMs: number): string {
  const delta = Date.parse(iso) - nowMs;
  const minutes = Math.round(Math.abs(delta) / MINUTE_MS);
  if (minutes === 0) return t('time.now');
  if (minutes >= 36 * 60) {
    const count = Math.round(minutes / 1440);
    return t(delta > 0 ? 'time.inDays' : 'time.daysAgo', { count });
  }
  const amount =
    minutes < 90 ? t('time.minutes', { count: minutes }) : t('time.hours', { count: Math.round(minutes / 60) });
  return t(delta > 0 ? 'time.in' : 'time.ago', { amount });
}

/** A time that somebody spent, given in seconds: "12 min", "1 h 5 min". */
export function formatSpent(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (minutes < 1) return t('time.underMinute');
  if (minutes < 60) return t('time.minutes', { count: minutes });
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  return rest > 0 ? t('time.hoursMinutes', { hours, minutes: rest }) : t('time.hours', { count: hours });
}

export const formatViewers = (count: number): string => t('number.viewers', { count });

/** A rate given in Mbit/s, with the unit that reads best. */
export function formatMbps(mbps: number): string {
  if (mbps <= 0) return '0 kbit/s';
  if (mbps < 1) return `${formatNumber(mbps * 1000)} kbit/s`;
  if (mbps < 1000) return `${formatNumber(mbps, mbps < 10 ? 1 : 0)} Mbit/s`;
  return `${formatNumber(mbps / 1000, 1)} Gbit/s`;
}

/** A place in a recording, as players write it: 1:02:03, 4:05. */
export function formatPosition(seconds: number): string {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  const two = (part: number): string => String(part).padStart(2, '0');
  return h > 0 ? `${String(h)}:${two(m)}:${two(s)}` : `${String(m)}:${two(s)}`;
}

/** A duration given in seconds. */
export function formatLatency(seconds: number): string {
  return seconds < 1 ? `${formatNumber(seconds * 1000)} ms` : `${formatNumber(seconds, 1)} s`;
}

/** A part of a whole, from 0 to 1: "3.5 %"; little is not nothing. */
export function formatPercent(part: number): string {
  return `${formatNumber(part * 100, part > 0 && part < 0.1 ? 1 : 0)} %`;
}

export function formatShare(used: number, of: number): string {
  return of > 0 ? `${formatNumber((used / of) * 100)} %` : '–';
}

/** The value of a datetime-local input for a moment, in the browser's own zone. */
export function toLocalInput(ms: number): string {
  const date = new Date(ms);
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${String(date.getFullYear())}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** A datetime-local input's value as RFC 3339 UTC, null when it is not a moment. */
export function fromLocalInput(value: string): string | null {
  const ms = Date.parse(value);
  return value === '' || Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

/** A power given in watts, with the unit that reads best. */
export function formatWatts(watts: number): string {
  if (watts < 10) return `${formatNumber(watts, 1)} W`;
  return watts < 1000 ? `${formatNumber(watts)} W` : `${formatNumber(watts / 1000, 1)} kW`;
}

/** A size given in bytes, with the unit that reads best. */
export function formatBytes(bytes: number): string {
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${formatNumber(value, value > 0 && value < 10 ? 1 : 0)} ${String(units[unit])}`;
}

/** The length of a recording given in seconds, to the nearest one: "0:07", "1:02:03". */
export const formatLength = (seconds: number): string => formatPosition(Math.round(seconds));
