// For tests: runs the machine on virtual time.

import { expect } from 'vitest';

import type { EventState, Session } from '../kit/types';
import { step } from './machine';
import {
  type Choice,
  type Effect,
  type EventInfo,
  initial,
  type LossReason,
  type PlayerEvent,
  type State,
} from './model';

export const session = (id: string, edge = 'pe4', quality = 'source'): Session => ({
  id,
  edge,
  quality,
  whep: `http://127.0.4.1:9000/whep/ev`,
  hls: `http://127.0.4.1:9000/hls/ev/index.m3u8`,
  hls_subtitled: null,
  token: 't',
  expires_at: '2030-01-01T00:00:00Z',
});

/** An event without its epoch: the harness adds the current one. */
export type EventWithoutEpoch = PlayerEvent extends infer E
  ? E extends { epoch: number }
    ? Omit<E, 'epoch'>
    : E
  : never;

/** Sends events to the machine on virtual time and keeps every effect. */
export class MachineHarness {
  state: State;
  nowMs = 1_000_000;
  effects: Effect[] = [];
  random = 0.5;

  constructor(choice: Choice = 'auto', canWhep = true, quality = 'source') {
    this.state = initial(choice, canWhep, quality);
  }

  sendRaw(event: PlayerEvent): Effect[] {
    const { state, effects } = step(this.state, event, { nowMs: this.nowMs, random: this.random });
    this.state = state;
    this.effects.push(...effects);
    return effects;
  }

  send(event: EventWithoutEpoch): Effect[] {
    return this.sendRaw({ epoch: this.state.epoch, ...event } as PlayerEvent);
  }

  /** Advances time in ticks of 250 ms with `frames` new frames each. */
  advance(ms: number, frames = 0): Effect[] {
    const before = this.effects.length;
    for (let passedMs = 0; passedMs < ms; passedMs += 250) {
      this.nowMs += 250;
      if (frames > 0) this.send({ type: 'progress', value: this.state.progress + frames });
      this.send({ type: 'tick' });
    }
    return this.effects.slice(before);
  }

  types(): string[] {
    return this.effects.map((effect) => effect.type);
  }
}

export const eventInfo = (
  state: EventState,
  flowing: boolean | null,
  qualities: readonly string[] | null = null,
): EventInfo => ({
  state,
  flowing,
  qualities,
});

export const live = eventInfo('live', true);
export const refusal = (
  status: number,
  code = 'umbel.error',
  retryAfterS: number | null = null,
): EventWithoutEpoch => ({
  type: 'not-opened',
  status,
  code,
  message: 'no',
  retryAfterS,
});
export const lost = (reason: LossReason): EventWithoutEpoch => ({
  type: 'lost',
  reason,
  message: reason,
  retryAfterS: null,
});

/** A machine that plays; by default the event offers no choice of quality. */
export function playing(choice: Choice = 'auto', event = live): MachineHarness {
  const machine = new MachineHarness(choice);
  machine.send({ type: 'event-changed', info: event });
  machine.send({ type: 'start' });
  machine.send({ type: 'opened', session: session('s1') });
  machine.send({ type: 'linked' });
  machine.advance(500, 7);
  expect(machine.state.phase).toBe('playing');
  machine.effects = [];
  return machine;
}
