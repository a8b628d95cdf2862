// The network's numbers of now, and what the states of nodes mean. Pure.

import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';
import type { FunctionStatus, NodeState, NodeStatus } from '../kit/types';

/** Watts of all nodes that have a figure; null when none has. */
export function wattsOf(nodes: readonly NodeStatus[]): number | null {
  const known = nodes.flatMap(({ watts }) => (watts === null ? [] : [watts]));
  return known.length === 0 ? null : known.reduce((sum, watts) => sum + watts, 0);
}

export interface Totals {
  viewers: number;
  sentMbps: number;
  cores: number;
  watts: number | null;
}

export function totalsOf(nodes: readonly NodeStatus[], functions: readonly FunctionStatus[]): Totals {
  return {
    viewers: functions.reduce((sum, fn) => sum + fn.viewers, 0),
    sentMbps: functions.reduce((sum, fn) => sum + fn.mbps_out, 0),
    cores: nodes.reduce((sum, node) => sum + node.cores_used, 0),
    watts: wattsOf(nodes),
  };
}

export const sentBy = (node: string): string => `sent:${node}`;

/** What the page keeps for the last minutes, by name. */
export function samplesOf(nodes: readonly NodeStatus[], functions: readonly FunctionStatus[]): Map<string, number> {
  const { viewers, sentMbps, cores, watts } = totalsOf(nodes, functions);
  return new Map([
    ['viewers', viewers],
    ['sent', sentMbps],
    ['cores', cores],
    ...(watts === null ? [] : [['watts', watts] as const]),
    ...nodes.map((node) => [sentBy(node.name), node.mbps_used] as const),
  ]);
}

export interface StateText {
  /** The class of the mark in front of the words. */
  mark: 'up' | 'warn' | 'rest' | 'down';
  text: PlainKey;
}

/** The roles of functions that have a word of their own; others are shown as they are called. */
const FUNCTION_ROLES: Readonly<Record<string, PlainKey>> = {
  acquirer: 'fn.acquirer',
  forwarder: 'fn.forwarder',
  edge: 'fn.edge',
  transcoder: 'fn.transcoder',
  recorder: 'fn.recorder',
};

export function roleName(role: string): string {
  const key = FUNCTION_ROLES[role];
  return key ? t(key) : role;
}

export const FUNCTION_STATES: Readonly<Record<FunctionStatus['state'], StateText>> = {
  absent: { mark: 'warn', text: 'fn.absent' },
  booting: { mark: 'warn', text: 'fn.booting' },
  active: { mark: 'up', text: 'fn.active' },
  failed: { mark: 'down', text: 'fn.failed' },
  gone: { mark: 'warn', text: 'fn.gone' },
};

/** A node's state in one word, for the picture. */
export const NODE_WORDS: Readonly<Record<NodeState, PlainKey>> = {
  ready: 'node.ready',
  cordoned: 'node.cordoned',
  draining: 'node.draining',
  drained: 'node.drained',
  standby: 'node.standby',
  lost: 'node.lost',
};

/** A node's state in words, because a colour alone says nothing to many people. */
export const NODE_STATES: Readonly<Record<NodeState, StateText>> = {
  ready: { mark: 'up', text: 'net.ready' },
  cordoned: { mark: 'warn', text: 'net.cordoned' },
  draining: { mark: 'warn', text: 'net.draining' },
  drained: { mark: 'rest', text: 'net.drained' },
  standby: { mark: 'rest', text: 'net.standby' },
  lost: { mark: 'down', text: 'net.nodeLost' },
};
