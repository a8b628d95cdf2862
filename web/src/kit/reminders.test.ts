import { expect, test } from 'vitest';

import { dueReminders, parseDismissed, reminderOf } from './reminders';
import type { Reservation } from './types';

const NOW = Date.parse('2027-03-01T12:00:00Z');

function reservation(id: string, minutes: number, changes: Partial<Reservation['event']> = {}): Reservation {
  const starts_at = new Date(NOW + minutes * 60_000).toISOString();
  const event = { id, starts_at, state: 'scheduled', ...changes } as Reservation['event'];
  return { event, purpose: 'watch', reserved_at: '2027-01-01T00:00:00Z' };
}

const idsOf = (found: readonly Reservation[]): string[] => found.map((one) => one.event.id);

test('what begins within ten minutes, the soonest first', () => {
  const all = [reservation('ten', 10), reservation('one', 1), reservation('late', 10.1), reservation('begun', 0)];
  expect(idsOf(dueReminders(all, NOW, []))).toEqual(['one', 'ten']);
});

test('not what is cancelled, live, or only recorded', () => {
  const recorded: Reservation = { ...reservation('recorded', 5), purpose: 'record' };
  const all = [reservation('off', 5, { state: 'cancelled' }), reservation('live', 5, { state: 'live' }), recorded];
  expect(dueReminders(all, NOW, [])).toEqual([]);
});

test('once, unless the event moves', () => {
  const before = reservation('ev', 5);
  const dismissed = [reminderOf(before)];
  expect(dueReminders([before], NOW, dismissed)).toEqual([]);
  expect(idsOf(dueReminders([reservation('ev', 8)], NOW, dismissed))).toEqual(['ev']);
});

test.each([
  [null, []],
  ['', []],
  ['{', []],
  ['{"a":1}', []],
  ['["a",7,null,"b"]', ['a', 'b']],
])('%j in the storage is %j', (text, names) => {
  expect(parseDismissed(text)).toEqual(names);
});
