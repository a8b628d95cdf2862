import { describe, expect, test } from 'vitest';

import type { NetworkPath, OverlayLink, Slice } from '../kit/types';
import { linkKey } from './layout';
import {
  bodyOf,
  draftOf,
  linksOf,
  lookOf,
  marksOf,
  type Overlay,
  problemsIn,
  sliceOf,
  sortProblems,
  streamsOf,
  tunnelLabel,
  usageLabel,
  withLink,
  withRole,
} from './overlay';

function link(a: string, b: string, use: OverlayLink['use'], more: Partial<OverlayLink> = {}): OverlayLink {
  const tunnel = use === 'tree';
  return {
    a,
    b,
    mbps: 100,
    used_mbps: 0,
    delay_ms: 1,
    use,
    state: tunnel ? 'up' : 'unwatched',
    tunnel,
    streams: [],
    ...more,
  };
}

function path(stream: string, leaf: string, links: [string, string][]): NetworkPath {
  return {
    id: `path_${stream}_${leaf}`,
    requested_at: '2026-01-01T00:00:00Z',
    stream,
    root: 'pe1',
    sender: 'outside',
    target: { address: '10.203.0.1', port: 5004 },
    leaf,
    receiver: { kind: 'unicast', address: '192.0.2.4', mac: '02:00:00:00:00:aa', port: null },
    carried: true,
    error: '',
    links,
    moving: null,
    notice: '',
  };
}

const OVERLAY: Overlay = {
  topology: {
    programmed: true,
    root: 'pe1',
    nodes: [
      { name: 'pe1', role: 'root', parent: null, in_tree: true },
      { name: 'c1', role: 'relay', parent: 'pe1', in_tree: true },
      { name: 'pe-4', role: 'leaf', parent: 'c1', in_tree: true },
      { name: 'pe5', role: null, parent: null, in_tree: false },
    ],
    tree: [
      ['pe1', 'c1'],
      ['c1', 'pe-4'],
    ],
    spare: [['pe1', 'pe-4']],
    cut: [],
  },
  switches: [
    { node: 'pe1', datapath_id: '0000756d62000001', connected: true, ports: [] },
    { node: 'pe5', datapath_id: '0000756d62000005', connected: false, ports: [] },
  ],
  links: [
    link('pe1', 'c1', 'tree'),
    link('c1', 'pe-4', 'tree', { state: 'down' }),
    link('pe1', 'pe-4', 'spare'),
    link('c1', 'pe5', 'undrawn'),
  ],
  paths: [],
  slices: [],
};

test('a link that is down looks so, others as they are drawn', () => {
  expect(OVERLAY.links.map(lookOf)).toEqual(['tree', 'down', 'spare', 'undrawn']);
  expect(OVERLAY.links.map(tunnelLabel)).toEqual(['up', 'down', 'no tunnel', 'no tunnel']);
  expect(OVERLAY.links.map(usageLabel)).toEqual(['in the tree', 'in the tree', 'spare', 'not drawn']);
  const marks = marksOf(OVERLAY);
  expect(marks.looks.get(linkKey('pe-4', 'c1'))).toBe('down');
  expect([...marks.roles]).toEqual([
    ['pe1', 'root'],
    ['c1', 'relay'],
    ['pe-4', 'leaf'],
  ]);
  expect([...marks.disconnected]).toEqual(['pe5']);
});

test('the links of a stream are those of all its paths, each once', () => {
  const paths = [
    path('feed', 'pe-4', [
      ['pe1', 'c1'],
      ['c1', 'pe-4'],
    ]),
    path('other', 'pe5', [['pe1', 'x']]),
    path('feed', 'pe5', [
      ['pe1', 'c1'],
      ['c1', 'pe5'],
    ]),
  ];
  expect(linksOf('feed', paths)).toEqual([
    ['pe1', 'c1'],
    ['c1', 'pe-4'],
    ['c1', 'pe5'],
  ]);
  expect(linksOf('none', paths)).toEqual([]);
  expect(streamsOf(paths)).toEqual(['feed', 'other']);
});

test('the slice of an event', () => {
  const traffic = { packets: 0, bytes: 0, drops: 0, mbps: 0, drops_per_s: 0 };
  const slice = (id: string, event_id: string | null): Slice => ({
    id,
    grade: 'gold',
    event_id,
    functions: event_id === null ? ['a', 'b'] : null,
    events: [],
    number: 1,
    dscp: 10,
    opened_at: '2026-01-01T00:00:00Z',
    links: [],
    min_mbps: 50,
    max_mbps: 100,
    guaranteed: true,
    offered: traffic,
  });
  const slices = [slice('s1', null), slice('s2', 'ev_1')];
  expect(sliceOf('ev_1', slices)?.id).toBe('s2');
  expect(sliceOf('ev_2', slices)).toBeNull();
  expect(sliceOf(null, slices)).toBeNull();
});

describe('a drawing', () => {
  const draft = draftOf(OVERLAY);

  test('begins as what is drawn, and is sent as that', () => {
    expect(bodyOf(draft, OVERLAY)).toEqual({
      nodes: [
        { name: 'pe1', role: 'root' },
        { name: 'c1', role: 'relay' },
        { name: 'pe-4', role: 'leaf' },
      ],
      links: [
        { a: 'pe1', b: 'c1' },
        { a: 'c1', b: 'pe-4' },
        { a: 'pe1', b: 'pe-4' },
      ],
    });
  });

  test('changes by roles and links, and not the one before it', () => {
    const key = linkKey('pe5', 'c1');
    const more = withLink(withRole(draft, 'pe5', 'leaf'), key, true);
    expect(bodyOf(more, OVERLAY).nodes).toContainEqual({ name: 'pe5', role: 'leaf' });
    expect(bodyOf(more, OVERLAY).links).toContainEqual({ a: 'c1', b: 'pe5' });
    expect(bodyOf(withLink(more, key, false), OVERLAY).links).not.toContainEqual({ a: 'c1', b: 'pe5' });
    expect(draft.roles.has('pe5') || draft.links.has(key)).toBe(false);
  });

  test('sends no link of a node that is not drawn, and keeps it in mind', () => {
    const without = withRole(draft, 'c1', null);
    expect(bodyOf(without, OVERLAY).links).toEqual([{ a: 'pe1', b: 'pe-4' }]);
    expect(bodyOf(withRole(without, 'c1', 'relay'), OVERLAY)).toEqual(bodyOf(draft, OVERLAY));
  });

  test('that is refused shows each problem where it is', () => {
    const problems = [
      'no node is the root',
      'leaf pe-4: no links lead to it from the root pe1',
      'node pe-4: a second root; pe1 is already the root',
      'link pe-4-c1: the network does not join them',
      'node moon: the network has no such node',
    ];
    const { nodes, links, rest } = sortProblems(problems, OVERLAY);
    expect(nodes.get('pe-4')).toEqual([
      'no links lead to it from the root pe1',
      'a second root; pe1 is already the root',
    ]);
    expect(links.get(linkKey('c1', 'pe-4'))).toEqual(['the network does not join them']);
    expect(rest).toEqual(['no node is the root', 'node moon: the network has no such node']);
  });

  test.each([
    [{}, []],
    [{ problems: 'one' }, []],
    [{ problems: ['one', 2, null] }, ['one']],
  ])('problems of %j are %j', (details, found) => {
    expect(problemsIn(details)).toEqual(found);
  });
});
