import { expect, it } from 'vitest';

import { curveOf, scaleOf } from './curve';

const point = (minute: number, viewers: number) => ({
  at: `2030-01-01T12:${String(minute).padStart(2, '0')}:00Z`,
  viewers,
  peak: viewers,
  opened: 0,
});

it('steps from minute to minute, and is flat where nobody watched', () => {
  expect(curveOf([point(0, 2), point(1, 4), point(3, 5)], 60, 400, 100)).toEqual({
    path: 'M0 100.0H0.0V60.0H100.0V100.0H100.0V20.0H200.0V100.0H300.0V0.0H400.0V100.0Z',
    fromMs: Date.parse('2030-01-01T12:00:00Z'),
    toMs: Date.parse('2030-01-01T12:04:00Z'),
    most: 5,
  });
  expect(curveOf([], 60, 400, 100)).toBeNull();
});

it.each([
  [0, 1],
  [0.2, 1],
  [1, 1],
  [3, 5],
  [5, 5],
  [6, 10],
  [11, 20],
  [120, 200],
  [999, 1000],
])('shows %f viewers on a scale to %i', (most, scale) => {
  expect(scaleOf(most)).toBe(scale);
});
