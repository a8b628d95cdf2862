import { describe, expect, it } from 'vitest';

import { fromZonedInput, laterInput, toZonedInput, zoneNames } from './zones';

describe('a time in a zone', () => {
  it.each([
    ['Europe/Rome', '2030-01-10T18:00', '2030-01-10T17:00:00.000Z'],
    ['Europe/Rome', '2030-06-10T18:00', '2030-06-10T16:00:00.000Z'],
    ['America/New_York', '2030-06-10T18:00', '2030-06-10T22:00:00.000Z'],
    ['Asia/Kolkata', '2030-06-10T00:15', '2030-06-09T18:45:00.000Z'],
    ['Pacific/Kiritimati', '2030-01-01T00:00', '2029-12-31T10:00:00.000Z'],
    ['UTC', '2030-06-10T18:00', '2030-06-10T18:00:00.000Z'],
  ])('of %s goes to UTC and back', (zone, local, utc) => {
    expect(fromZonedInput(local, zone)).toBe(utc);
    expect(toZonedInput(Date.parse(utc), zone)).toBe(local);
  });

  it('that clocks skip is as much later', () => {
    expect(fromZonedInput('2027-03-28T02:30', 'Europe/Rome')).toBe('2027-03-28T01:30:00.000Z');
    expect(toZonedInput(Date.parse('2027-03-28T01:30:00Z'), 'Europe/Rome')).toBe('2027-03-28T03:30');
  });

  it('that clocks show twice is the first', () => {
    expect(fromZonedInput('2027-10-31T02:30', 'Europe/Rome')).toBe('2027-10-31T00:30:00.000Z');
  });

  it.each(['', 'soon', '2030-13-01T00:00'])('%s is none', (value) => {
    expect(fromZonedInput(value, 'Europe/Rome')).toBeNull();
    expect(laterInput(value, 1)).toBeNull();
  });
});

it('later is by the clock', () => {
  expect(laterInput('2027-03-28T01:30', 3_600_000)).toBe('2027-03-28T02:30');
});

it('the zone of an event is on offer, also one that the browser does not list', () => {
  expect(zoneNames(['Asia/Calcutta'])).toEqual(expect.arrayContaining(['Asia/Calcutta', 'Europe/Rome', 'UTC']));
});
