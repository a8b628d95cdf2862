// Months, weeks and days of a calendar. Days are keys such as 2027-03-28, without a zone. Pure.

import { addDays } from '../kit/format';

export interface Month {
  year: number;
  /** 1 to 12. */
  month: number;
}

export interface Day {
  key: string;
  day: number;
  isInMonth: boolean;
}

/** Days that one entry is shown on, at most. */
const MOST_DAYS = 62;
const FIRST_YEAR = 1970;
const LAST_YEAR = 2199;

const two = (n: number): string => String(n).padStart(2, '0');

export const monthKey = ({ year, month }: Month): string => `${String(year)}-${two(month)}`;

/** The month of a day's key, or of a month's. */
export function monthOf(key: string): Month {
  return { year: Number(key.slice(0, 4)), month: Number(key.slice(5, 7)) };
}

/** The month that an address names; null when it names none. */
export function parseMonth(text: string | null): Month | null {
  if (text === null || !/^\d{4}-(0[1-9]|1[0-2])$/.test(text)) return null;
  const month = monthOf(text);
  return month.year >= FIRST_YEAR && month.year <= LAST_YEAR ? month : null;
}

export function addMonths({ year, month }: Month, count: number): Month {
  const index = year * 12 + month - 1 + count;
  return { year: Math.floor(index / 12), month: (index % 12) + 1 };
}

/** 0 is Sunday. */
export const weekdayOf = (key: string): number => new Date(`${key}T00:00:00Z`).getUTCDay();

/** The weeks that the month touches; `firstDay` is the weekday that weeks begin with. */
export function weeksOf(month: Month, firstDay: number): Day[][] {
  const first = `${monthKey(month)}-01`;
  const last = addDays(`${monthKey(addMonths(month, 1))}-01`, -1);
  const weeks: Day[][] = [];
  for (let key = addDays(first, -((weekdayOf(first) - firstDay + 7) % 7)); key <= last; key = addDays(key, 7)) {
    weeks.push(
      [0, 1, 2, 3, 4, 5, 6].map((n) => {
        const day = addDays(key, n);
        return { key: day, day: Number(day.slice(8)), isInMonth: day >= first && day <= last };
      }),
    );
  }
  return weeks;
}

/** Every day from one key to another, both included, as far as an entry is shown. */
export function daysBetween(first: string, last: string): string[] {
  const days = [first];
  for (let key = addDays(first, 1); key <= last && days.length < MOST_DAYS; key = addDays(key, 1)) days.push(key);
  return days;
}

/** The day that a key of the keyboard leads to; null where it leads nowhere. */
export function dayForKey(pressed: string, key: string, firstDay: number): string | null {
  const intoWeek = (weekdayOf(key) - firstDay + 7) % 7;
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -7,
    ArrowDown: 7,
    Home: -intoWeek,
    End: 6 - intoWeek,
  };
  const step = steps[pressed];
  if (step !== undefined) return addDays(key, step);
  if (pressed === 'PageUp') return sameDay(key, -1);
  return pressed === 'PageDown' ? sameDay(key, 1) : null;
}

/** The same day of another month, or its last one. */
function sameDay(key: string, months: number): string {
  const month = monthKey(addMonths(monthOf(key), months));
  const last = addDays(`${monthKey(addMonths(monthOf(key), months + 1))}-01`, -1);
  const wanted = `${month}-${key.slice(8)}`;
  return wanted < last ? wanted : last;
}

/** The weekday that weeks begin with where the locale is from; Monday where the browser does not say. */
export function firstDayOf(locale: string): number {
  const known = new Intl.Locale(locale) as Intl.Locale & {
    getWeekInfo?: () => { firstDay: number };
    weekInfo?: { firstDay: number };
  };
  const info = known.getWeekInfo?.() ?? known.weekInfo;
  return (info?.firstDay ?? 1) % 7;
}
