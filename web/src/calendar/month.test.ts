import { describe, expect, test } from 'vitest';
import { addDays } from '../kit/format';
import { purposesFor, toggled } from '../kit/reservable';
import type { LiveEvent, Reservation, Watched } from '../kit/types';
import { byDay, entriesOf } from './entries';
import { addMonths, dayForKey, daysBetween, firstDayOf, monthKey, parseMonth, weeksOf } from './month';

const MONDAY = 1;
const SUNDAY = 0;

describe('months', () => {
  test.each([
    ['2027-03', { year: 2027, month: 3 }],
    ['2027-13', null],
    ['2027-3', null],
    ['1969-12', null],
    ['2200-01', null],
    ['nonsense', null],
    [null, null],
  ])('%s', (text, month) => {
    expect(parseMonth(text)).toEqual(month);
  });

  test('go on over the years', () => {
    expect(monthKey(addMonths({ year: 2027, month: 12 }, 1))).toBe('2028-01');
    expect(monthKey(addMonths({ year: 2027, month: 1 }, -1))).toBe('2026-12');
    expect(monthKey(addMonths({ year: 2027, month: 5 }, -29))).toBe('2024-12');
  });
});

describe('weeks', () => {
  test('begin with the weekday of the locale, and hold every day of the month once', () => {
    const monday = weeksOf({ year: 2027, month: 3 }, MONDAY);
    expect(monday.map((week) => week[0]?.key)).toEqual([
      '2027-03-01',
      '2027-03-08',
      '2027-03-15',
      '2027-03-22',
      '2027-03-29',
    ]);
    const sunday = weeksOf({ year: 2027, month: 3 }, SUNDAY);
    expect(sunday[0]?.[0]).toEqual({ key: '2027-02-28', day: 28, isInMonth: false });
    for (const weeks of [monday, sunday]) {
      const inside = weeks.flat().filter((day) => day.isInMonth);
      expect(inside.map((day) => day.day)).toEqual(Array.from({ length: 31 }, (_, n) => n + 1));
    }
  });

  test('a short February is four weeks, and a leap day is in it', () => {
    expect(weeksOf({ year: 2027, month: 2 }, MONDAY)).toHaveLength(4);
    const days = weeksOf({ year: 2028, month: 2 }, MONDAY).flat();
    expect(days.filter((day) => day.isInMonth)).toHaveLength(29);
  });

  test('the locale says what they begin with', () => {
    expect(firstDayOf('de-DE')).toBe(MONDAY);
    expect([MONDAY, SUNDAY]).toContain(firstDayOf('en-US'));
  });
});

describe('days', () => {
  test('are counted without clocks', () => {
    expect(addDays('2027-03-27', 2)).toBe('2027-03-29');
    expect(addDays('2027-10-31', 1)).toBe('2027-11-01');
    expect(daysBetween('2027-02-27', '2027-03-01')).toEqual(['2027-02-27', '2027-02-28', '2027-03-01']);
    expect(daysBetween('2027-01-01', '2199-01-01')).toHaveLength(62);
  });

  test.each([
    ['ArrowLeft', '2027-03-09'],
    ['ArrowRight', '2027-03-11'],
    ['ArrowUp', '2027-03-03'],
    ['ArrowDown', '2027-03-17'],
    ['Home', '2027-03-08'],
    ['End', '2027-03-14'],
    ['PageUp', '2027-02-10'],
    ['PageDown', '2027-04-10'],
    ['a', null],
  ])('%s', (pressed, day) => {
    expect(dayForKey(pressed, '2027-03-10', MONDAY)).toBe(day);
  });

  test('a month without that day has its last', () => {
    expect(dayForKey('PageUp', '2027-03-31', MONDAY)).toBe('2027-02-28');
    expect(dayForKey('PageDown', '2028-01-30', MONDAY)).toBe('2028-02-29');
  });
});

describe('entries', () => {
  const event = (id: string, starts_at: string, ends_at: string, state = 'scheduled'): LiveEvent =>
    ({ id, starts_at, ends_at, state, title: id }) as LiveEvent;
  const march = { year: 2027, month: 3 };

  test('are events by their start, with what they are reserved for', () => {
    const late = event('late', '2027-03-02T10:00:00Z', '2027-03-02T11:00:00Z');
    const soon = event('soon', '2027-03-01T10:00:00Z', '2027-03-01T11:00:00Z');
    const gone = event('gone', '2027-02-01T10:00:00Z', '2027-02-01T11:00:00Z', 'cancelled');
    const of = (one: LiveEvent, purpose: 'watch' | 'record'): Reservation => ({
      event: one,
      purpose,
      reserved_at: '2027-01-01T00:00:00Z',
      reminders: { leads_s: [], channels: [], is_own: false },
    });
    const entries = entriesOf([late, soon], [of({ ...late, title: 'old' }, 'record'), of(gone, 'watch')], []);
    expect(entries.map((entry) => [entry.event.title, entry.purpose])).toEqual([
      ['gone', 'watch'],
      ['soon', null],
      ['late', 'record'],
    ]);
  });

  test('say for how long they were watched, also those that are in no list any more', () => {
    const here = event('here', '2027-03-01T10:00:00Z', '2027-03-01T11:00:00Z');
    const gone = event('gone', '2027-02-01T10:00:00Z', '2027-02-01T11:00:00Z', 'ended');
    const of = (one: LiveEvent, seconds: number): Watched => ({ event: one, seconds, first_at: '', last_at: '' });
    const entries = entriesOf([here], [], [of(here, 90), of(gone, 0)]);
    expect(entries.map((entry) => [entry.event.id, entry.watchedS])).toEqual([
      ['gone', 0],
      ['here', 90],
    ]);
  });

  test('are on the days of the viewer’s zone', () => {
    const entries = entriesOf([event('night', '2027-02-28T23:30:00Z', '2027-03-01T00:30:00Z')], [], []);
    expect([...byDay(entries, march, 'UTC').keys()]).toEqual(['2027-03-01']);
    expect([...byDay(entries, march, 'Europe/Rome').keys()]).toEqual(['2027-03-01']);
    expect([...byDay(entries, march, 'America/New_York').keys()]).toEqual([]);
  });

  test('over several days are on each of them, also where the clocks change', () => {
    const entries = entriesOf([event('long', '2027-03-27T23:00:00Z', '2027-03-29T22:00:00Z')], [], []);
    expect([...byDay(entries, march, 'Europe/Rome').keys()]).toEqual(['2027-03-28', '2027-03-29']);
  });

  test.each([
    ['scheduled', ['watch', 'record']],
    ['open', ['watch', 'record']],
    ['live', ['record']],
    ['ended', []],
    ['cancelled', []],
  ])('%s can be reserved for %j', (state, purposes) => {
    expect(purposesFor(event('x', '', '', state))).toEqual(purposes);
  });

  test.each([
    ['scheduled', null, 'watch', 'watch'],
    ['scheduled', 'watch', 'watch', null],
    ['scheduled', 'watch', 'record', 'both'],
    ['scheduled', 'both', 'watch', 'record'],
    ['live', 'watch', 'record', 'record'],
    ['live', 'record', 'record', null],
  ] as const)('%s, reserved to %j, after pressing %j: %j', (state, before, pressed, after) => {
    expect(toggled(event('x', '', '', state), before, pressed)).toBe(after);
  });
});
