import { describe, expect, it } from 'vitest';

import { laterInput, toZonedInput, zonedMoments, zoneNames } from './zones';

const momentsOf = (value: string, zone: string): string[] =>
  zonedMoments(value, zone).map((ms) => new Date(ms).toISOString());

describe('a time in a zone', () => {
  it.each([
    ['Europe/Rome', '2030-01-10T18:00', '2030-01-10T17:00:00.000Z'],
    ['Europe/Rome', '2030-06-10T18:00', '2030-06-10T16:00:00.000Z'],
    ['America/New_York', '2030-06-10T18:00', '2030-06-10T22:00:00.000Z'],
    ['Asia/Kolkata', '2030-06-10T00:15', '2030-06-09T18:45:00.000Z'],
    ['Pacific/Kiritimati', '2030-01-01T00:00', '2029-12-31T10:00:00.000Z'],
    ['UTC', '2030-06-10T18:00', '2030-06-10T18:00:00.000Z'],
  ])('of %s goes to UTC and back', (zone, local, utc) => {
    expect(momentsOf(local, zone)).toEqual([utc]);
    expect(toZonedInput(Date.parse(utc), zone)).toBe(local);
  });

  it.each([
    ['Europe/Rome', '2027-03-28T02:30', '2027-03-28T01:30:00.000Z', '2027-03-28T03:30'],
    ['America/New_York', '2027-03-14T02:30', '2027-03-14T07:30:00.000Z', '2027-03-14T03:30'],
  ])('of %s that clocks skip is as much later', (zone, skipped, utc, shown) => {
    expect(momentsOf(skipped, zone)).toEqual([utc]);
    expect(toZonedInput(Date.parse(utc), zone)).toBe(shown);
  });

  it.each([
    ['Europe/Rome', '2027-10-31T02:30', ['2027-10-31T00:30:00.000Z', '2027-10-31T01:30:00.000Z']],
    ['America/New_York', '2027-11-07T01:30', ['2027-11-07T05:30:00.000Z', '2027-11-07T06:30:00.000Z']],
  ])('of %s that clocks show twice is two moments', (zone, local, both) => {
    expect(momentsOf(local, zone)).toEqual(both);
    for (const utc of both) expect(toZonedInput(Date.parse(utc), zone)).toBe(local);
  });

  it.each(['', 'soon', '2030-13-01T00:00'])('%s is none', (value) => {
    expect(zonedMoments(value, 'Europe/Rome')).toEqual([]);
    expect(laterInput(value, 1)).toBeNull();
  });
});

it('later is by the clock', () => {
  expect(laterInput('2027-03-28T01:30', 3_600_000)).toBe('2027-03-28T02:30');
});

it('the zone of an event is on offer, also one that the browser does not list', () => {
  expect(zoneNames(['Asia/Calcutta'])).toEqual(expect.arrayContaining(['Asia/Calcutta', 'Europe/Rome', 'UTC']));
});
