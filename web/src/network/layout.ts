// The positions of nodes: cores in the middle, provider edges around them near their cores.
// Pure. In: names, links and a size. Out: points.

export interface Point {
  x: number;
  y: number;
}

interface Named {
  name: string;
  kind: string;
}

interface Joined {
  a: string;
  b: string;
}

const FULL = 2 * Math.PI;

export const isCore = (node: Named): boolean => node.kind === 'core';

function ring(names: readonly string[], centre: Point, rx: number, ry: number, from: number): [string, Point][] {
  return names.map((name, n) => {
    const angle = from + (FULL * n) / names.length;
    return [name, { x: centre.x + rx * Math.cos(angle), y: centre.y + ry * Math.sin(angle) }];
  });
}

/** The direction of a node's neighbours in the middle, as an angle in [0, 2 pi); null when it has none. */
function pull(name: string, links: readonly Joined[], inner: ReadonlyMap<string, Point>, centre: Point): number | null {
  let x = 0;
  let y = 0;
  for (const link of links) {
    const other = link.a === name ? link.b : link.b === name ? link.a : null;
    const point = other === null ? undefined : inner.get(other);
    if (!point) continue;
    x += point.x - centre.x;
    y += point.y - centre.y;
  }
  if (Math.abs(x) + Math.abs(y) < 1e-6) return null;
  return (Math.atan2(y, x) + FULL) % FULL;
}

export function layout(
  nodes: readonly Named[],
  links: readonly Joined[],
  width: number,
  height: number,
  margin: Point,
): Map<string, Point> {
  const centre = { x: width / 2, y: height / 2 };
  const rx = width / 2 - margin.x;
  const ry = height / 2 - margin.y;
  const cores = nodes.filter(isCore).map((node) => node.name);
  const rest = nodes.filter((node) => !isCore(node)).map((node) => node.name);
  const single = cores.length === 1;
  const wide = width >= height;
  const reach = single ? 0 : rest.length === 0 ? 1 : wide ? 0.42 : 0.3;
  // Two cores lie along the longer side, more begin at the top.
  const from = cores.length === 2 && wide ? Math.PI : -Math.PI / 2;
  const inner = new Map(ring(cores, centre, rx * reach, ry * reach, from));
  const wanted = rest.map((name, n) => ({
    name,
    angle: pull(name, links, inner, centre) ?? (FULL * n) / rest.length,
  }));
  wanted.sort((p, q) => p.angle - q.angle || p.name.localeCompare(q.name));
  const gap = FULL / Math.max(1, rest.length);
  // The rotation that brings the even ring nearest to the wanted angles.
  const sin = wanted.reduce((sum, w, n) => sum + Math.sin(w.angle - n * gap), 0);
  const cos = wanted.reduce((sum, w, n) => sum + Math.cos(w.angle - n * gap), 0);
  const turn = Math.abs(sin) + Math.abs(cos) < 1e-6 ? -Math.PI / 2 : Math.atan2(sin, cos);
  const outer = ring(
    wanted.map((w) => w.name),
    centre,
    rx,
    ry,
    turn,
  );
  return new Map([...inner, ...outer]);
}

export const linkKey = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`);

/** Width in pixels of a link that carries this share of what it can. */
export function linkWidth(share: number): number {
  return 2 + 6 * Math.min(1, Math.max(0, share));
}

export function loadClass(share: number): 'calm' | 'busy' | 'full' {
  if (share >= 0.9) return 'full';
  return share >= 0.6 ? 'busy' : 'calm';
}
