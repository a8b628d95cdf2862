// The network's numbers of now, and what the states of nodes mean. Pure.

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

export const sentBy = (node: string): string => `sent by ${node}`;

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
  text: string;
}

/** A node's state in words, because a colour alone says nothing to many people. */
export const NODE_STATES: Readonly<Record<NodeState, StateText>> = {
  ready: { mark: 'up', text: 'ready' },
  cordoned: { mark: 'warn', text: 'cordoned: takes nothing new' },
  draining: { mark: 'warn', text: 'draining: is being emptied' },
  drained: { mark: 'rest', text: 'drained: is empty' },
  standby: { mark: 'rest', text: 'in standby' },
  lost: { mark: 'down', text: 'lost: does not answer' },
};
