import { expect, it } from 'vitest';

import { levelOf } from './level';

const wave = (size: number): Float32Array => Float32Array.from({ length: 480 }, (_, n) => size * Math.sin(n / 7));

it('is nothing for silence and grows with the sound', () => {
  expect(levelOf(new Float32Array(0))).toBe(0);
  expect(levelOf(new Float32Array(480))).toBe(0);
  expect(levelOf(wave(0.0001))).toBe(0);
  expect(levelOf(wave(0.1))).toBeCloseTo(1 - 23 / 60, 2);
  expect(levelOf(wave(1))).toBeCloseTo(1 - 3 / 60, 2);
  expect(levelOf(Float32Array.from({ length: 10 }, () => 1))).toBe(1);
});
