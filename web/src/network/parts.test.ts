import { createElement, type ReactElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, test } from 'vitest';

import type { OverlayLink, Rule, Slice, SwitchStatus, Topology, Webhook } from '../kit/types';
import { summaryOf } from './drawing';
import { pathBody } from './new-path';
import { Slices, Switches, Tunnels } from './overlay-tables';
import { matchText, RuleLine } from './rules';
import { WebhookState } from './webhooks';

/** The texts of a rendered part, tags between them as one bar. */
const texts = (part: ReactElement): string =>
  renderToStaticMarkup(part)
    .replaceAll(/<[^>]*>/g, '|')
    .replaceAll(/\|+/g, '|');

const RULE: Rule = {
  node: 'pe4',
  table: 4,
  step: 'leaf',
  priority: 100,
  match: { metadata: '7', eth_type: '2048' },
  stream: 'feed',
  root: 'pe1',
  leaves: ['pe4'],
  explanation: 'stream feed; to the network outside, for 192.0.2.4:6000',
};

describe('a rule', () => {
  test('shows its step, stream, match, root, leaves and explanation', () => {
    const shown = texts(createElement(RuleLine, { rule: RULE }));
    for (const part of [
      '|leaf|feed|',
      'metadata=7, eth_type=2048',
      `|${RULE.explanation}.|`,
      '|Root|pe1|',
      '|Leaves|pe4|',
    ]) {
      expect(shown).toContain(part);
    }
  });

  test('without a stream shows no root', () => {
    const shown = texts(
      createElement(RuleLine, { rule: { ...RULE, match: {}, stream: null, root: null, leaves: [] } }),
    );
    expect(shown).toContain('|–|every packet|');
    expect(shown).not.toContain('Root');
    expect(matchText({})).toBe('every packet');
  });
});

test('tunnels show what they are drawn as, and that one is down', () => {
  const link = (use: OverlayLink['use'], state: OverlayLink['state']): OverlayLink => ({
    a: 'pe1',
    b: use,
    mbps: 100,
    used_mbps: 0,
    delay_ms: 2,
    use,
    state,
    tunnel: state !== 'unwatched',
    streams: use === 'tree' ? ['feed', 'ev_1'] : [],
  });
  const links = [link('tree', 'up'), link('spare', 'down'), link('undrawn', 'unwatched')];
  const shown = texts(createElement(Tunnels, { links }));
  expect(shown).toContain('|pe1|tree| in the tree|up|feed, ev_1|2 ms|');
  expect(shown).toContain('|pe1|spare| spare|down|–|');
  expect(shown).toContain('|pe1|undrawn| not drawn|no tunnel|–|');
});

test('switches show whether they are connected, and dead ports', () => {
  const one = (node: string, connected: boolean, live: boolean): SwitchStatus => ({
    node,
    connected,
    datapath_id: '0000756d62000001',
    ports: [
      { number: 1, name: 'to-c1', live },
      { number: 4294967294, name: 'br1', live: false },
    ],
  });
  const markup = createElement(Switches, {
    switches: [one('pe1', true, true), one('pe2', false, false)],
    chosen: 'pe1',
    onNode: () => undefined,
  });
  const shown = texts(markup).replaceAll('&quot;', '"');
  expect(shown).toContain('|pe1|0000756d62000001|connected|1 to-c1|');
  expect(shown).toContain('|pe2|0000756d62000001|not connected|1 to-c1 (dead)|');
  expect(renderToStaticMarkup(markup).match(/row-chosen/g)).toHaveLength(1);
});

test('slices show their grade, rates, and a guarantee that is not kept', () => {
  const offered = { packets: 9, bytes: 9000, drops: 3, mbps: 12.5, drops_per_s: 1 };
  const slice: Slice = {
    id: 'sl_1',
    grade: 'gold',
    event_id: null,
    functions: ['edge-pe4-1', 'edge-pe5-1'],
    events: [],
    number: 1,
    dscp: 10,
    opened_at: '2026-01-01T00:00:00Z',
    links: [],
    min_mbps: 50,
    max_mbps: 100,
    guaranteed: false,
    offered,
  };
  const shown = texts(createElement(Slices, { slices: [slice] }));
  expect(shown).toContain('|edge-pe4-1 to edge-pe5-1|GOLD|');
  expect(shown).toContain('|3 dropped|not on all links|');
  expect(texts(createElement(Slices, { slices: [] }))).toContain('No slices yet.');
});

test('an applied drawing is summarised in numbers', () => {
  const sent: Topology = { programmed: true, root: 'a', nodes: [], tree: [['a', 'b']], spare: [], cut: [] };
  expect(summaryOf(sent)).toBe('Applied: 1 link in the tree, 0 spares.');
  expect(summaryOf({ ...sent, spare: [['b', 'c']], cut: ['d', 'e'] })).toBe(
    'Applied: 1 link in the tree, 1 spare; d, e reach no leaf and were left out.',
  );
});

test('a path is sent without what was left empty', () => {
  const draft = {
    stream: ' feed ',
    root: 'pe1',
    sender: 'outside',
    leaf: 'pe4',
    address: ' 239.9.9.9 ',
    mac: '',
    port: '',
  };
  expect(pathBody(draft)).toEqual({
    stream: 'feed',
    root: 'pe1',
    sender: 'outside',
    leaf: 'pe4',
    receiver: { address: '239.9.9.9' },
  });
  expect(pathBody({ ...draft, sender: 'inside', mac: '02:00:00:00:00:AA', port: '6000' })).toMatchObject({
    sender: 'inside',
    receiver: { mac: '02:00:00:00:00:aa', port: 6000 },
  });
});

test('a failing webhook shows why, a disabled one how to enable it', () => {
  const webhook: Webhook = {
    id: 'sub_1',
    url: 'http://observer.example/hook',
    kinds: ['link_up'],
    note: '',
    created_at: '2026-01-01T00:00:00Z',
    state: 'active',
    sequence: 1,
    waiting: 0,
    delivered: 1,
    dropped: 0,
    failures: 0,
    last_error: '',
    last_error_at: null,
    last_answer_at: '2026-01-01T00:00:01Z',
    retry_at: null,
  };
  expect(texts(createElement(WebhookState, { webhook }))).toBe('|active|');
  const failing: Webhook = { ...webhook, state: 'failing', failures: 3, last_error: 'answered 500' };
  expect(texts(createElement(WebhookState, { webhook: failing }))).toBe(
    '|failing, will be retried|Consecutive failures: 3 (answered 500)|',
  );
  expect(texts(createElement(WebhookState, { webhook: { ...failing, state: 'dead' } }))).toContain(
    'a successful ping enables it again',
  );
});
