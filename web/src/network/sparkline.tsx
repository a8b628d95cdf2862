// Small lines of the last minutes. Decoration: the numbers of now are text next to them.

import { useEffect, useState } from 'react';

import { linePath, record, type Sample, type Trails } from './trail';

const WIDTH = 88;
const HEIGHT = 22;

/** The trails of these values, one more sample at each new map. */
export function useTrails(values: ReadonlyMap<string, number> | null): Trails {
  const [trails, setTrails] = useState<Trails>(new Map());
  useEffect(() => {
    if (values) setTrails((before) => record(before, values, Date.now()));
  }, [values]);
  return trails;
}

export function Sparkline({ trail }: { trail: readonly Sample[] | undefined }) {
  return (
    <svg
      className="sparkline"
      width={WIDTH}
      height={HEIGHT}
      viewBox={`0 -1 ${String(WIDTH)} ${String(HEIGHT + 2)}`}
      aria-hidden="true"
    >
      <path className="sparkline-base" d={`M0 ${String(HEIGHT)}H${String(WIDTH)}`} />
      <path d={linePath(trail ?? [], WIDTH, HEIGHT)} />
    </svg>
  );
}
