import { expect, it } from 'vitest';

import { expectedCurveOf } from './expected-curve';

const point = (minute: number, expected: number, viewers: number | null) => ({
  at: `2030-01-01T12:${String(minute).padStart(2, '0')}:00Z`,
  expected,
  viewers,
});

it('draws parts of any length, and who was there up to now', () => {
  expect(expectedCurveOf([point(0, 2, 1), point(1, 5, 4), point(3, 3, null)], 500, 100)).toEqual({
    expected: 'M0 60.0V60.0H100.0V0.0H300.0V40.0H500.0',
    actual: 'M0 100.0V80.0H100.0V20.0H300.0V100.0Z',
    fromMs: Date.parse('2030-01-01T12:00:00Z'),
    toMs: Date.parse('2030-01-01T12:05:00Z'),
    most: 5,
  });
});

it('draws nobody before the event', () => {
  expect(expectedCurveOf([point(0, 2, null), point(1, 5, null)], 100, 100)?.actual).toBe('');
  expect(expectedCurveOf([], 100, 100)).toBeNull();
});

it('scales to more viewers than were expected', () => {
  expect(expectedCurveOf([point(0, 2, 80), point(1, 5, null)], 100, 100)?.most).toBe(100);
});
