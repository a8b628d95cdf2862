// A curve over time as a figure: its paths, and the times at both ends with the scale between them.

import type { ReactNode } from 'react';

import { formatTime } from '../kit/format';

export const WIDTH = 600;
export const HEIGHT = 140;

interface CurveFigureProps {
  fromMs: number;
  toMs: number;
  /** What the figure shows, for those who do not see it. */
  label: (from: string, to: string) => string;
  scale: string;
  /** The paths, in a space of `WIDTH` x `HEIGHT`. */
  children: ReactNode;
}

export function CurveFigure({ fromMs, toMs, label, scale, children }: CurveFigureProps) {
  const from = formatTime(new Date(fromMs).toISOString());
  const to = formatTime(new Date(toMs).toISOString());
  return (
    <figure className="curve">
      <svg
        viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT)}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={label(from, to)}
      >
        {children}
      </svg>
      <figcaption aria-hidden="true">
        <span>{from}</span>
        <span>{scale}</span>
        <span>{to}</span>
      </figcaption>
    </figure>
  );
}
