// The curve of viewers as the path of an SVG. Pure.

import type { StatisticsPoint } from '../kit/types';

export interface Curve {
  /** The area under the curve. */
  path: string;
  fromMs: number;
  toMs: number;
  /** The viewers at the top of the picture. */
  most: number;
}

/** The next number of people that is easy to read on a scale. */
export function scaleOf(most: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, most))));
  const found = [1, 2, 5, 10].find((times) => times * step >= most) ?? 10;
  return Math.max(1, found * step);
}

/** Steps from point to point; between points there was no viewer. Null without points. */
export function curveOf(
  points: readonly StatisticsPoint[],
  pointS: number,
  width: number,
  height: number,
): Curve | null {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last) return null;
  const fromMs = Date.parse(first.at);
  const toMs = Date.parse(last.at) + pointS * 1000;
  const most = scaleOf(Math.max(...points.map(({ viewers }) => viewers)));
  const x = (ms: number): string => (((ms - fromMs) / (toMs - fromMs)) * width).toFixed(1);
  const y = (viewers: number): string => (height - (viewers / most) * height).toFixed(1);
  const steps = points.map(({ at, viewers }) => {
    const begin = Date.parse(at);
    return `H${x(begin)}V${y(viewers)}H${x(begin + pointS * 1000)}V${y(0)}`;
  });
  return { path: `M0 ${y(0)}${steps.join('')}Z`, fromMs, toMs, most };
}
