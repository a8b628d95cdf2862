import { describe, expect, test } from 'vitest';

import { layout, linkKey, linkWidth, loadClass, type Point } from './layout';

const core = (name: string) => ({ name, kind: 'core' });
const edge = (name: string) => ({ name, kind: 'provider-edge' });
const join = (a: string, b: string) => ({ a, b });

const SLS = {
  nodes: [edge('pe1'), edge('pe2'), edge('pe3'), edge('pe4'), edge('pe5'), core('c1'), core('c2')],
  links: [
    join('pe1', 'c1'),
    join('pe2', 'c1'),
    join('c1', 'c2'),
    join('pe3', 'c2'),
    join('pe4', 'c2'),
    join('pe5', 'c2'),
  ],
};

const distance = (p: Point, q: Point): number => Math.hypot(p.x - q.x, p.y - q.y);

describe.each([
  ['wide', 900, 500],
  ['tall', 390, 600],
])('the picture of the network, %s', (_shape, width, height) => {
  const points = layout(SLS.nodes, SLS.links, width, height, { x: 60, y: 60 });
  const at = (name: string): Point => points.get(name) ?? { x: NaN, y: NaN };

  test('places every node inside the margin, none on another', () => {
    expect([...points.keys()].sort()).toEqual(SLS.nodes.map((node) => node.name).sort());
    const all = [...points.values()];
    for (const point of all) {
      expect(point.x).toBeGreaterThanOrEqual(60 - 1e-6);
      expect(point.x).toBeLessThanOrEqual(width - 60 + 1e-6);
      expect(point.y).toBeGreaterThanOrEqual(60 - 1e-6);
      expect(point.y).toBeLessThanOrEqual(height - 60 + 1e-6);
    }
    for (const [n, point] of all.entries()) {
      for (const other of all.slice(n + 1)) expect(distance(point, other)).toBeGreaterThan(80);
    }
  });

  test('draws each edge node near its core', () => {
    for (const name of ['pe1', 'pe2']) expect(distance(at(name), at('c1'))).toBeLessThan(distance(at(name), at('c2')));
    for (const name of ['pe4', 'pe5']) expect(distance(at(name), at('c2'))).toBeLessThan(distance(at(name), at('c1')));
  });

  test.each([
    ['nothing', [], []],
    ['one node', [edge('pe1')], []],
    ['one core', [core('c1')], []],
    [
      'a star',
      [core('c1'), edge('pe1'), edge('pe2'), edge('pe3')],
      [join('c1', 'pe1'), join('c1', 'pe2'), join('c1', 'pe3')],
    ],
    ['no links', [core('c1'), core('c2'), edge('pe1'), edge('pe2')], []],
  ])('copes with %s', (_what, nodes, links) => {
    const drawn = layout(nodes, links, 400, 400, { x: 40, y: 40 });
    expect(drawn.size).toBe(nodes.length);
    for (const point of drawn.values()) expect(Number.isFinite(point.x + point.y)).toBe(true);
  });
});

test('links are the same both ways, and show their load', () => {
  expect(linkKey('b', 'a')).toBe(linkKey('a', 'b'));
  expect([linkWidth(-1), linkWidth(0), linkWidth(1), linkWidth(9)]).toEqual([2, 2, 8, 8]);
  expect([0, 0.6, 0.95].map(loadClass)).toEqual(['calm', 'busy', 'full']);
});
