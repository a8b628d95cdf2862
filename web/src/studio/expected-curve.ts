// Expected and actual viewers as paths of an SVG. Pure.

import type { DemandPoint } from '../kit/types';
import { scaleOf } from './curve';

export interface ExpectedCurve {
  /** The line of those who are expected. */
  expected: string;
  /** The area of those who were there, up to now. */
  actual: string;
  fromMs: number;
  toMs: number;
  /** The viewers at the top of the picture. */
  most: number;
}

/** Steps from point to point, each as long as its part of the event's time. Null without points. */
export function expectedCurveOf(points: readonly DemandPoint[], width: number, height: number): ExpectedCurve | null {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last || points.length < 2) return null;
  const begins = points.map(({ at }) => Date.parse(at));
  const fromMs = Date.parse(first.at);
  // The parts after the event's end have the same length.
  const toMs = 2 * Date.parse(last.at) - (begins.at(-2) ?? fromMs);
  const most = scaleOf(Math.max(...points.flatMap(({ expected, viewers }) => [expected, viewers ?? 0])));
  const x = (ms: number): string => (((ms - fromMs) / (toMs - fromMs)) * width).toFixed(1);
  const y = (viewers: number): string => (height - (viewers / most) * height).toFixed(1);
  const endOf = (index: number): number => begins[index + 1] ?? toMs;
  const expected = points.map((point, index) => `V${y(point.expected)}H${x(endOf(index))}`);
  const past = points.filter(({ viewers }) => viewers !== null);
  const actual = past.map((point, index) => `V${y(point.viewers ?? 0)}H${x(endOf(index))}`);
  return {
    expected: `M0 ${y(first.expected)}${expected.join('')}`,
    actual: past.length > 0 ? `M0 ${y(0)}${actual.join('')}V${y(0)}Z` : '',
    fromMs,
    toMs,
    most,
  };
}
