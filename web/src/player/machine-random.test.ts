import { describe, expect, test } from 'vitest';
import { TABLE } from './machine';
import { eventInfo, MachineHarness, session } from './machine-harness';
import { initial, type PlayerEvent, type State } from './model';
import { statusOf } from './status';

describe('any sequence of events', () => {
  const QUALITIES = ['source', '360p', 'vp8'];
  const phases = Object.keys(TABLE) as State['phase'][];

  /** A small generator (mulberry32), so that a failure can be had again. */
  function chance(seed: number): () => number {
    let a = seed;
    return () => {
      a = (a + 0x6d2b79f5) | 0;
      let t = Math.imul(a ^ (a >>> 15), 1 | a);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  function anyEvent(random: () => number, epoch: number): PlayerEvent {
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    const offers = [null, ['source'], QUALITIES];
    const events: PlayerEvent[] = [
      { type: 'start' },
      {
        type: 'event-changed',
        info: eventInfo(pick(['scheduled', 'open', 'live', 'ended']), pick([true, false, null]), pick(offers)),
      },
      { type: 'opened', epoch, session: session(String(random()), 'pe4', pick(QUALITIES)) },
      {
        type: 'not-opened',
        epoch,
        status: pick([0, 404, 409, 422, 503]),
        code: pick(['x', 'umbel.event_not_open', 'umbel.no_capacity']),
        message: '',
        retryAfterS: pick([null, 2]),
      },
      { type: 'linked', epoch },
      { type: 'shaky', epoch },
      {
        type: 'lost',
        epoch,
        reason: pick(['ice', 'refused', 'codec', 'unreachable', 'media']),
        message: '',
        retryAfterS: null,
      },
      { type: 'progress', epoch, value: Math.floor(random() * 100) },
      {
        type: 'probed',
        epoch,
        alive: pick([true, true, false]),
        info: pick([null, eventInfo('live', true, pick(offers)), eventInfo('live', false)]),
      },
      { type: 'move' },
      { type: 'moved', epoch, session: session(String(random()), 'pe1') },
      { type: 'replaced', epoch, session: session(String(random()), 'pe1', pick(QUALITIES)) },
      { type: 'not-moved', epoch, quality: pick(QUALITIES), message: 'no' },
      { type: 'quality', quality: pick(QUALITIES) },
      // What happens most, so that much is come through.
      { type: 'tick' },
      { type: 'tick' },
      { type: 'tick' },
      { type: 'linked', epoch },
      { type: 'progress', epoch, value: Math.floor(random() * 100) },
      { type: 'probed', epoch, alive: true, info: eventInfo('live', false) },
      { type: 'hint' },
      { type: 'choose', choice: pick(['auto', 'whep', 'hls']) },
      { type: 'pause' },
      { type: 'resume' },
      { type: 'leave' },
    ];
    return pick(events);
  }

  test('no session and no transport is leaked, and every phase is reached', () => {
    const reached = new Set<string>();
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = chance(seed);
      const machine = new MachineHarness();
      machine.state = initial('auto', seed % 2 === 0, 'source', seed % 3 > 0);
      const held = new Set<string>();
      let connected = false;
      for (let n = 0; n < 120; n += 1) {
        machine.nowMs += Math.floor(random() * 2000);
        const event = anyEvent(random, machine.state.epoch - (random() < 0.1 ? 1 : 0));
        // Who leaves at every turn gets nowhere.
        if (event.type === 'leave' && random() < 0.8) continue;
        const wanted = machine.state.phase === 'opening';
        if (
          event.type === 'opened' &&
          !(wanted && event.epoch === machine.state.epoch) &&
          event.epoch === machine.state.epoch
        )
          continue;
        if ('session' in event) held.add(event.session.id);
        for (const effect of machine.sendRaw(event)) {
          if (effect.type === 'close-session') held.delete(effect.session.id);
          if (effect.type === 'connect') {
            expect(connected, 'a transport over another').toBe(false);
            connected = true;
            if (effect.session.quality === 'vp8') expect(effect.protocol, 'VP8 has no HLS').toBe('whep');
          }
          if (effect.type === 'disconnect') connected = false;
        }
        const kept = machine.state.session;
        expect([...held]).toEqual(kept ? [kept.id] : []);
        expect(connected).toBe(kept !== null);
        reached.add(machine.state.phase);
        expect(statusOf(machine.state).text).not.toBe('');
      }
    }
    expect([...reached].sort()).toEqual([...phases].sort());
  });

  test('every phase but the final ones goes on by itself', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = chance(seed);
      const machine = new MachineHarness();
      machine.send({ type: 'start' });
      for (let n = 0; n < 60; n += 1) {
        machine.nowMs += 300;
        const event = anyEvent(random, machine.state.epoch);
        if (event.type === 'leave' || event.type === 'pause') continue;
        machine.sendRaw(event);
      }
      if (['idle', 'over', 'missing'].includes(machine.state.phase)) continue;
      machine.send({ type: 'resume' });
      expect(machine.advance(20_000).length, machine.state.phase).toBeGreaterThan(0);
    }
  });
});
