// What numbers were in the last minutes, kept in the page: the portal has those of now only. Pure.

export interface Sample {
  atMs: number;
  value: number;
}

export type Trails = ReadonlyMap<string, readonly Sample[]>;

export const KEPT_MS = 300_000;

/** The trails with a sample of each value. What has no value any more is forgotten, and so is what is too old. */
export function record(trails: Trails, values: ReadonlyMap<string, number>, nowMs: number): Trails {
  const kept = (name: string): Sample[] =>
    (trails.get(name) ?? []).filter((sample) => sample.atMs > nowMs - KEPT_MS && sample.atMs < nowMs);
  return new Map([...values].map(([name, value]) => [name, [...kept(name), { atMs: nowMs, value }]]));
}

/**
 * The line of a trail in a box of this size: time from left to right over KEPT_MS, values from 0 at the
 * bottom to the largest at the top. Empty for fewer than two samples.
 */
export function linePath(trail: readonly Sample[], width: number, height: number): string {
  const last = trail.at(-1);
  if (trail.length < 2 || !last) return '';
  const most = Math.max(...trail.map((sample) => sample.value), Number.MIN_VALUE);
  const points = trail.map(({ atMs, value }) => {
    const x = width * (1 - (last.atMs - atMs) / KEPT_MS);
    return `${x.toFixed(1)} ${(height * (1 - value / most)).toFixed(1)}`;
  });
  return `M${points.join('L')}`;
}
