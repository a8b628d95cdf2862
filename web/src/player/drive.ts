// For tests: drives the machine along virtual time.

import { expect } from 'vitest';

import type { EventState, Session } from '../kit/types';
import { step } from './machine';
import { type Choice, type Effect, initial, type PlayerEvent, type Seen, type State } from './model';

export const session = (id: string, edge = 'pe4', quality = 'source'): Session => ({
  id,
  edge,
  quality,
  whep: `http://127.0.4.1:9000/whep/ev`,
  hls: `http://127.0.4.1:9000/hls/ev/index.m3u8`,
  token: 't',
  expires_at: '2030-01-01T00:00:00Z',
});

/** An event without its epoch: the drive adds the current one. */
export type Told = PlayerEvent extends infer E ? (E extends { epoch: number } ? Omit<E, 'epoch'> : E) : never;

/** Drives the machine along virtual time and remembers every effect. */
export class Drive {
  state: State;
  nowMs = 1_000_000;
  effects: Effect[] = [];
  random = 0.5;

  constructor(choice: Choice = 'auto', canWhep = true, quality = 'source') {
    this.state = initial(choice, canWhep, quality);
  }

  raw(event: PlayerEvent): Effect[] {
    const { state, effects } = step(this.state, event, { nowMs: this.nowMs, random: this.random });
    this.state = state;
    this.effects.push(...effects);
    return effects;
  }

  tell(told: Told): Effect[] {
    return this.raw({ epoch: this.state.epoch, ...told } as PlayerEvent);
  }

  /** Lets time go by in ticks of 250 ms; `frames` pictures come with each. */
  pass(ms: number, frames = 0): Effect[] {
    const before = this.effects.length;
    for (let gone = 0; gone < ms; gone += 250) {
      this.nowMs += 250;
      if (frames > 0) this.tell({ type: 'progress', value: this.state.progress + frames });
      this.tell({ type: 'tick' });
    }
    return this.effects.slice(before);
  }

  types(): string[] {
    return this.effects.map((effect) => effect.type);
  }
}

export const seen = (state: EventState, flowing: boolean | null, qualities: readonly string[] | null = null): Seen => ({
  state,
  flowing,
  qualities,
});

export const live = seen('live', true);
export const refusal = (status: number, code = 'umbel.error', retryAfterS: number | null = null): Told => ({
  type: 'not-opened',
  status,
  code,
  message: 'no',
  retryAfterS,
});
export const lost = (reason: 'ice' | 'refused' | 'unreachable' | 'media'): Told => ({
  type: 'lost',
  reason,
  message: reason,
  retryAfterS: null,
});

/** It plays; by default an event that offers no choice of quality. */
export function playing(choice: Choice = 'auto', event = live): Drive {
  const drive = new Drive(choice);
  drive.tell({ type: 'seen', seen: event });
  drive.tell({ type: 'start' });
  drive.tell({ type: 'opened', session: session('s1') });
  drive.tell({ type: 'linked' });
  drive.pass(500, 7);
  expect(drive.state.phase).toBe('playing');
  drive.effects = [];
  return drive;
}
