import { describe, expect, test } from 'vitest';

import { changesOf, contentOf, draftOf, emptyDraft, problemOf, withStart } from './draft';

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

  test('half a start keeps the end', () => {
    const draft = emptyDraft(now);
    expect(withStart(draft, '')).toEqual({ ...draft, starts: '' });
  });
});
