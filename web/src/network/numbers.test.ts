import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, test } from 'vitest';

import type { NodeStatus } from '../kit/types';
import { samplesOf, wattsOf } from './numbers';
import { NetworkTables } from './tables';

const node = (name: string, part: Partial<NodeStatus> = {}): NodeStatus => ({
  name,
  kind: 'provider-edge',
  pool: 'default',
  state: 'ready',
  power: 'active',
  address: '127.0.1.1',
  cores: 2,
  cores_used: 0.5,
  memory_mb: 2048,
  memory_used_mb: 100,
  mbps: 1000,
  mbps_used: 3,
  promised: [],
  functions: [],
  viewers: 0,
  evict_at: null,
  watts: null,
  ...part,
});

const rendered = (nodes: NodeStatus[]): string =>
  renderToStaticMarkup(
    createElement(NetworkTables, { nodes, links: [], functions: [], tree: null, trails: new Map() }),
  );

describe('power', () => {
  test('of nodes without figures is not shown', () => {
    expect(wattsOf([node('pe1'), node('pe2')])).toBeNull();
    expect(samplesOf([node('pe1')], []).has('watts')).toBe(false);
    expect(rendered([node('pe1')])).not.toContain('Power');
  });

  test('is the sum of the figures that there are', () => {
    const nodes = [node('pe1', { watts: 6 }), node('pe2'), node('pe3', { watts: 9.5 })];
    expect(wattsOf(nodes)).toBe(15.5);
    expect(samplesOf(nodes, []).get('watts')).toBe(15.5);
    expect(rendered(nodes)).toContain('<td>9.5 W</td>');
  });
});

test.each([
  ['ready', 'mark-up">ready'],
  ['cordoned', 'mark-warn">cordoned: takes nothing new'],
  ['draining', 'mark-warn">draining: is being emptied'],
  ['drained', 'mark-rest">drained: is empty'],
  ['standby', 'mark-rest">in standby'],
  ['lost', 'mark-down">lost: does not answer'],
] as const)('a node that is %s shows it by colour and words', (state, shown) => {
  expect(rendered([node('pe1', { state })])).toContain(shown);
});
