import { expect, test } from 'vitest';

import { dueReminders, leadText, parseDismissed, reminderOf } from './reminders';
import type { Reservation } from './types';

const NOW = Date.parse('2027-03-01T12:00:00Z');

const DEFAULT = { leads_s: [86_400, 3_600, 300], channels: ['page'], is_own: false };

function reservation(id: string, minutes: number, changes: Partial<Reservation['event']> = {}): Reservation {
  const starts_at = new Date(NOW + minutes * 60_000).toISOString();
  const event = { id, starts_at, state: 'scheduled', ...changes } as Reservation['event'];
  return { event, purpose: 'watch', reserved_at: '2027-01-01T00:00:00Z', reminders: DEFAULT };
}

const idsOf = (found: readonly Reservation[]): string[] => found.map((one) => one.event.id);

test('what is within a lead time, the soonest first', () => {
  const all = [reservation('day', 1440), reservation('one', 1), reservation('late', 1440.1), reservation('begun', 0)];
  expect(idsOf(dueReminders(all, NOW, []))).toEqual(['one', 'day']);
});

test('by the lead times and the channels that were chosen', () => {
  const of = (leads_s: number[], channels: string[]): Reservation => ({
    ...reservation('ev', 10),
    reminders: { leads_s, channels, is_own: true },
  });
  expect(dueReminders([of([600], ['page'])], NOW, [])).toHaveLength(1);
  expect(dueReminders([of([599], ['page'])], NOW, [])).toEqual([]);
  expect(dueReminders([of([], ['page'])], NOW, [])).toEqual([]);
  expect(dueReminders([of([600], ['mail', 'push'])], NOW, [])).toEqual([]);
});

test('not for a time that came before it was reserved', () => {
  const late: Reservation = { ...reservation('ev', 30), reserved_at: new Date(NOW).toISOString() };
  expect(dueReminders([late], NOW, [])).toEqual([]);
  expect(dueReminders([late], NOW + 25 * 60_000, [])).toHaveLength(1);
});

test('not what is cancelled, live, or only recorded', () => {
  const recorded: Reservation = { ...reservation('recorded', 5), purpose: 'record' };
  const all = [reservation('off', 5, { state: 'cancelled' }), reservation('live', 5, { state: 'live' }), recorded];
  expect(dueReminders(all, NOW, [])).toEqual([]);
});

test('once for each lead time, unless the event moves', () => {
  const before = reservation('ev', 61);
  const dismissed = [reminderOf(before, NOW)];
  expect(dueReminders([before], NOW, dismissed)).toEqual([]);
  expect(dueReminders([before], NOW + 59_000, dismissed)).toEqual([]);
  expect(idsOf(dueReminders([before], NOW + 60_000, dismissed))).toEqual(['ev']);
  expect(idsOf(dueReminders([reservation('ev', 62)], NOW, dismissed))).toEqual(['ev']);
});

test.each([
  [604_800, '7 days'],
  [86_400, '1 day'],
  [3_600, '1 hour'],
  [7_200, '2 hours'],
  [5_400, '90 minutes'],
  [300, '5 minutes'],
  [61, '61 seconds'],
])('%i s is %s', (leadS, text) => {
  expect(leadText(leadS)).toBe(text);
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
