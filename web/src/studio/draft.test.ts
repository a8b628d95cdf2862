import { describe, expect, test } from 'vitest';

import { changesOf, contentOf, draftOf, emptyDraft, problemOf, trueLengthOf, withStart } from './draft';

const EVENT = {
  title: 'Derby',
  description: 'Home against away\n',
  starts_at: '2030-06-10T18:00:42Z',
  ends_at: '2030-06-10T20:00:42Z',
  vp8: false,
  visibility: 'public' as const,
  time_zone: 'Europe/Rome',
  version: 3,
};

describe('changes of an event', () => {
  test('an untouched form sends nothing, whatever the seconds of its times', () => {
    expect(changesOf(draftOf(EVENT), EVENT)).toBeNull();
  });

  test('only what was typed is sent, with the version that was read', () => {
    const draft = { ...draftOf(EVENT), title: ' Final ' };
    expect(changesOf(draft, EVENT)).toEqual({ version: 3, title: 'Final' });
  });

  test('VP8 is allowed and taken back', () => {
    expect(changesOf({ ...draftOf(EVENT), vp8: true }, EVENT)).toEqual({ version: 3, vp8: true });
    const allowed = { ...EVENT, vp8: true };
    expect(changesOf(draftOf(allowed), allowed)).toBeNull();
    expect(changesOf({ ...draftOf(allowed), vp8: false }, allowed)).toEqual({ version: 3, vp8: false });
    expect(contentOf(draftOf(allowed)).vp8).toBe(true);
  });

  test('a pass phrase goes with its visibility, and is sent only where one was typed', () => {
    const locked = { ...draftOf(EVENT), visibility: 'pass_phrase' as const, passPhrase: 'the old lighthouse' };
    expect(changesOf(locked, EVENT)).toEqual({
      version: 3,
      visibility: 'pass_phrase',
      pass_phrase: 'the old lighthouse',
    });
    expect(problemOf(locked, 'public')).toBeNull();
    expect(problemOf({ ...locked, passPhrase: 'short  ' }, 'public')).toMatch(/at least 8/);
    expect(problemOf({ ...locked, passPhrase: '' }, 'public')).toMatch(/at least 8/);
    expect(problemOf({ ...locked, passPhrase: '' }, 'pass_phrase')).toBeNull();
    const kept = { ...EVENT, visibility: 'pass_phrase' as const };
    expect(changesOf(draftOf(kept), kept)).toBeNull();
    expect(changesOf({ ...draftOf(kept), visibility: 'unlisted', passPhrase: 'typed before' }, kept)).toEqual({
      version: 3,
      visibility: 'unlisted',
    });
  });

  test('another time zone moves the times with the clock', () => {
    expect(draftOf(EVENT).starts).toBe('2030-06-10T20:00');
    const moved = { ...draftOf(EVENT), timeZone: 'UTC' };
    expect(changesOf(moved, EVENT)).toEqual({
      version: 3,
      time_zone: 'UTC',
      starts_at: '2030-06-10T20:00:00.000Z',
      ends_at: '2030-06-10T22:00:00.000Z',
    });
  });

  test('a text can be emptied', () => {
    expect(changesOf({ ...draftOf(EVENT), description: '' }, EVENT)).toEqual({ version: 3, description: '' });
  });

  test('a later start moves the end', () => {
    const before = draftOf({ ...EVENT, starts_at: '2030-06-10T18:00:00Z', ends_at: '2030-06-10T20:00:00Z' });
    const later = withStart(before, draftOf({ ...EVENT, starts_at: '2030-06-10T18:30:00Z' }).starts);
    expect(changesOf(later, EVENT)).toEqual({
      version: 3,
      starts_at: '2030-06-10T18:30:00.000Z',
      ends_at: '2030-06-10T20:30:00.000Z',
    });
  });
});

describe('an event where clocks change', () => {
  const eventOf = (time_zone: string, starts: string, ends: string) => ({
    ...EVENT,
    time_zone,
    starts_at: `${starts}:42Z`,
    ends_at: `${ends}:42Z`,
  });

  test.each([
    // The clocks go back: from the first showing of an hour to its second, within the second, over all of it.
    ['Europe/Rome', '2027-10-31T00:45', '2027-10-31T01:15', '02:45', '02:15'],
    ['Europe/Rome', '2027-10-31T00:30', '2027-10-31T01:30', '02:30', '02:30'],
    ['Europe/Rome', '2027-10-31T01:00', '2027-10-31T01:30', '02:00', '02:30'],
    ['Europe/Rome', '2027-10-30T23:30', '2027-10-31T02:30', '01:30', '03:30'],
    ['America/New_York', '2027-11-07T05:45', '2027-11-07T06:15', '01:45', '01:15'],
    ['America/New_York', '2027-11-07T06:00', '2027-11-07T06:30', '01:00', '01:30'],
    // The clocks go forward.
    ['Europe/Rome', '2027-03-28T00:30', '2027-03-28T01:30', '01:30', '03:30'],
    ['America/New_York', '2027-03-14T06:30', '2027-03-14T07:30', '01:30', '03:30'],
  ])('in %s from %s to %s, which clocks show as %s and %s', (zone, starts, ends, shownStart, shownEnd) => {
    const event = eventOf(zone, starts, ends);
    const draft = draftOf(event);
    expect([draft.starts.slice(11), draft.ends.slice(11)]).toEqual([shownStart, shownEnd]);
    expect(problemOf(draft)).toBeNull();
    expect(changesOf(draft, event)).toBeNull();
    const titled = { ...draft, title: 'Final' };
    expect(problemOf(titled)).toBeNull();
    expect(changesOf(titled, event)).toEqual({ version: 3, title: 'Final' });
    // What is typed and taken back is as it was.
    const there = { ...withStart(draft, '2030-06-10T18:00'), ends: '2030-06-10T20:00' };
    expect(changesOf({ ...there, starts: draft.starts, ends: draft.ends }, event)).toBeNull();
  });

  test.each([
    ['Europe/Rome', '2027-10-31T01:00', '2027-10-31T01:30', '2027-10-31T02:45', '2027-10-31T01:45:00.000Z'],
    ['America/New_York', '2027-11-07T06:00', '2027-11-07T06:30', '2027-11-07T01:45', '2027-11-07T06:45:00.000Z'],
  ])('in %s after %s ends at the showing after its start', (zone, starts, ends, typed, ends_at) => {
    const event = eventOf(zone, starts, ends);
    const draft = { ...draftOf(event), ends: typed };
    expect(problemOf(draft)).toBeNull();
    expect(changesOf(draft, event)).toEqual({ version: 3, ends_at });
  });

  test.each([
    ['Europe/Rome', '2027-10-31T00:45', '2027-10-31T01:15', '2027-10-30T20:00', '2027-10-30T20:30'],
    ['America/New_York', '2027-11-07T05:45', '2027-11-07T06:15', '2027-11-06T20:00', '2027-11-06T20:30'],
  ])('in %s from %s to %s stays as long as it is where its start is moved', (zone, starts, ends, moved, shown) => {
    const draft = withStart(draftOf(eventOf(zone, starts, ends)), moved);
    expect(draft.ends).toBe(shown);
    expect(problemOf(draft)).toBeNull();
  });

  test('is refused where its end is before its start, whatever clocks show', () => {
    const draft = draftOf(eventOf('Europe/Rome', '2027-10-31T01:00', '2027-10-31T01:30'));
    expect(problemOf({ ...draft, ends: '2027-10-31T01:59' })).toBe('The end must be after the start.');
    expect(problemOf({ ...draft, starts: '2027-10-31T02:31' })).toBeNull();
    expect(problemOf({ ...draft, starts: '2027-10-31T03:00' })).toBe('The end must be after the start.');
  });

  test('of another zone with the same clocks keeps its moments', () => {
    const event = eventOf('Europe/Rome', '2027-10-31T01:00', '2027-10-31T01:30');
    const { starts_at, ends_at } = contentOf({ ...draftOf(event), timeZone: 'Europe/Berlin' });
    expect([starts_at, ends_at]).toEqual(['2027-10-31T01:00:42.000Z', '2027-10-31T01:30:42.000Z']);
  });

  test.each([
    ['Europe/Rome', '2027-10-31T00:45', '2027-10-31T01:15', 1800],
    ['Europe/Rome', '2027-10-31T00:10', '2027-10-31T00:40', null],
    ['America/New_York', '2027-03-14T06:30', '2027-03-14T07:30', 3600],
    ['America/New_York', '2027-03-14T07:30', '2027-03-14T08:30', null],
  ])('in %s from %s to %s says its true length: %o', (zone, starts, ends, length) => {
    expect(trueLengthOf(draftOf(eventOf(zone, starts, ends)))).toBe(length);
  });
});

describe('a draft', () => {
  const now = Date.parse('2030-06-10T18:00:00Z');

  test('begins now and lasts an hour', () => {
    const { starts_at, ends_at } = contentOf(emptyDraft(now));
    expect([starts_at, ends_at]).toEqual(['2030-06-10T18:00:00.000Z', '2030-06-10T19:00:00.000Z']);
  });

  test.each([
    ['2027-10-31T00:30:00.000Z', '2027-10-31T02:30:00.000Z'],
    ['2027-03-28T00:30:00.000Z', '2027-03-28T01:30:00.000Z'],
  ])('can be sent as it is where clocks change: %s', (starts_at, ends_at) => {
    const draft = { ...emptyDraft(Date.parse(starts_at), 'Europe/Rome'), title: 'Derby' };
    expect(problemOf(draft)).toBeNull();
    expect(contentOf(draft)).toMatchObject({ starts_at, ends_at });
  });

  test.each([
    [{ title: '  ' }, 'Enter a title.'],
    [{ starts: '' }, 'Enter a start and an end.'],
    [{ ends: '2020-01-01T10:00' }, 'The end must be after the start.'],
    [{}, null],
  ])('with %o: %s', (part, problem) => {
    expect(problemOf({ ...emptyDraft(now), title: 'Derby', ...part })).toBe(problem);
  });

  test('a start that is typed over is none in between, and moves the end all the same', () => {
    const draft = emptyDraft(Date.parse('2030-12-01T10:00:00Z'), 'UTC');
    const typed = ['', '2030-06-01T10:00', '', '2030-06-10T10:00'].reduce(withStart, draft);
    expect([typed.starts, typed.ends]).toEqual(['2030-06-10T10:00', '2030-06-10T11:00']);
  });

  test('half a start keeps the end', () => {
    const draft = emptyDraft(now);
    expect(withStart(draft, '')).toEqual({ ...draft, starts: '' });
  });
});
