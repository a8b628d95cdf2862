import { describe, expect, it } from 'vitest';

import { NO_REPEAT, type RepeatDraft, repeatOf, repeatProblemOf } from './repeat';

const STARTS = '2030-06-10T18:00';
const weekly: RepeatDraft = { ...NO_REPEAT, unit: 'week', every: '2', count: '10' };

describe('a repetition', () => {
  it('is sent with a count or a last day', () => {
    expect(repeatOf(weekly)).toEqual({ repeat: { unit: 'week', every: 2, count: 10 } });
    expect(repeatOf({ ...weekly, end: 'until', until: '2030-09-01' })).toEqual({
      repeat: { unit: 'week', every: 2, until: '2030-09-01' },
    });
    expect(repeatOf(NO_REPEAT)).toEqual({});
  });

  it.each<Partial<RepeatDraft>>([
    { every: '0' },
    { every: '1.5' },
    { every: '100' },
    { count: '1' },
    { count: '101' },
    { count: '' },
    { end: 'until' },
    { end: 'until', until: '2030-06-10' },
  ])('cannot be %o', (change) => {
    expect(repeatProblemOf({ ...weekly, ...change }, STARTS)).not.toBeNull();
    expect(repeatProblemOf({ ...weekly, ...change, unit: 'none' }, STARTS)).toBeNull();
  });

  it('can be as it is', () => {
    expect(repeatProblemOf(weekly, STARTS)).toBeNull();
    expect(repeatProblemOf({ ...weekly, end: 'until', until: '2030-06-11' }, STARTS)).toBeNull();
  });
});
