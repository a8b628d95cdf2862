import { describe, expect, test } from 'vitest';

import { KEPT_MS, linePath, record, type Trails } from './trail';

const EMPTY: Trails = new Map();
const valuesOf = (trails: Trails, name: string): number[] => (trails.get(name) ?? []).map((sample) => sample.value);

describe('the last minutes', () => {
  test('each value is kept until it is too old', () => {
    const first = record(EMPTY, new Map([['viewers', 1]]), 1000);
    const second = record(first, new Map([['viewers', 2]]), 3000);
    expect(valuesOf(second, 'viewers')).toEqual([1, 2]);
    expect(valuesOf(record(second, new Map([['viewers', 3]]), 1000 + KEPT_MS), 'viewers')).toEqual([2, 3]);
  });

  test('what has gone is forgotten', () => {
    const both = record(
      EMPTY,
      new Map([
        ['pe1', 1],
        ['pe2', 2],
      ]),
      0,
    );
    expect([...record(both, new Map([['pe2', 2]]), 1000).keys()]).toEqual(['pe2']);
  });

  test('a moment has one sample', () => {
    const once = record(EMPTY, new Map([['viewers', 1]]), 1000);
    expect(valuesOf(record(once, new Map([['viewers', 5]]), 1000), 'viewers')).toEqual([5]);
  });
});

describe('its line', () => {
  test('ends at the right, with the largest value at the top', () => {
    const trail = [
      { atMs: 0, value: 0 },
      { atMs: KEPT_MS / 2, value: 4 },
      { atMs: KEPT_MS, value: 2 },
    ];
    expect(linePath(trail, 100, 20)).toBe('M0.0 20.0L50.0 0.0L100.0 10.0');
  });

  test('zero all the time lies at the bottom', () => {
    expect(
      linePath(
        [
          { atMs: 0, value: 0 },
          { atMs: KEPT_MS, value: 0 },
        ],
        100,
        20,
      ),
    ).toBe('M0.0 20.0L100.0 20.0');
  });

  test('one sample is no line', () => {
    expect(linePath([{ atMs: 0, value: 1 }], 100, 20)).toBe('');
  });
});
