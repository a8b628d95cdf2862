import { describe as suite, expect, test } from 'vitest';

import type { Session } from '../kit/types';
import {
  backoffMs,
  initial,
  LIMITS,
  step,
  TABLE,
  type Choice,
  type Effect,
  type PlayerEvent,
  type State,
} from './machine';
import { describe } from './words';

const session = (id: string, edge = 'pe4'): Session => ({
  id,
  edge,
  whep: `http://127.0.4.1:9000/whep/ev`,
  hls: `http://127.0.4.1:9000/hls/ev/index.m3u8`,
  token: 't',
  expires_at: '2030-01-01T00:00:00Z',
});

/** An event without its epoch: the drive adds the current one. */
type Told = PlayerEvent extends infer E ? (E extends { epoch: number } ? Omit<E, 'epoch'> : E) : never;

/** Drives the machine along virtual time and remembers every effect. */
class Drive {
  state: State;
  nowMs = 1_000_000;
  effects: Effect[] = [];
  random = 0.5;

  constructor(choice: Choice = 'auto', canWhep = true) {
    this.state = initial(choice, canWhep);
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

const live = { state: 'live', flowing: true } as const;
const refusal = (status: number, code = 'umbel.error', retryAfterS: number | null = null): Told => ({
  type: 'not-opened',
  status,
  code,
  message: 'no',
  retryAfterS,
});
const lost = (reason: 'ice' | 'refused' | 'unreachable' | 'media'): Told => ({
  type: 'lost',
  reason,
  message: reason,
  retryAfterS: null,
});

function playing(choice: Choice = 'auto'): Drive {
  const drive = new Drive(choice);
  drive.tell({ type: 'seen', seen: live });
  drive.tell({ type: 'start' });
  drive.tell({ type: 'opened', session: session('s1') });
  drive.tell({ type: 'linked' });
  drive.pass(500, 7);
  expect(drive.state.phase).toBe('playing');
  drive.effects = [];
  return drive;
}

suite('getting to the first picture', () => {
  test('asks, connects by WHEP and plays', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    expect(describe(drive.state).text).toBe('Finding the nearest edge');
    drive.tell({ type: 'opened', session: session('s1') });
    expect(drive.effects.at(-1)).toMatchObject({ type: 'connect', protocol: 'whep' });
    expect(describe(drive.state).text).toBe('Connecting to pe4 by WebRTC');
    drive.tell({ type: 'linked' });
    drive.tell({ type: 'progress', value: 1 });
    expect(describe(drive.state)).toEqual({ text: 'Live', mood: 'live' });
  });

  test('no progress is no picture', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    drive.tell({ type: 'progress', value: 0 });
    expect(drive.state.phase).toBe('connecting');
  });

  test('a browser without WebRTC goes to HLS', () => {
    const drive = new Drive('auto', false);
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    expect(drive.effects.at(-1)).toMatchObject({ type: 'connect', protocol: 'hls' });
  });

  test('auto falls back to HLS over the same session when ICE does not get through', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    drive.pass(LIMITS.linkMs.whep);
    expect(drive.effects.at(-1)).toMatchObject({ type: 'connect', protocol: 'hls', session: { id: 's1' } });
    expect(drive.types()).not.toContain('close-session');
  });

  test('forced WebRTC does not fall back', () => {
    const drive = new Drive('whep');
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    drive.pass(LIMITS.linkMs.whep);
    expect(drive.effects.at(-1)).toMatchObject({ type: 'open-session' });
    expect(drive.effects.filter((e) => e.type === 'connect' && e.protocol === 'hls')).toEqual([]);
  });

  test('after HLS fails too, WebRTC is tried again', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    drive.tell(lost('ice'));
    expect(drive.state.protocol).toBe('hls');
    drive.tell(lost('media'));
    drive.tell({ type: 'opened', session: session('s2') });
    expect(drive.state.protocol).toBe('whep');
  });

  test('a session that never comes is asked for again', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.pass(LIMITS.askMs + 250);
    expect(drive.types().filter((t) => t === 'open-session')).toHaveLength(2);
  });

  test('a late session is given back', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    const { epoch } = drive.state;
    drive.tell({ type: 'leave' });
    expect(drive.raw({ type: 'opened', epoch, session: session('late') })).toEqual([
      { type: 'close-session', session: session('late') },
    ]);
    expect(drive.state.phase).toBe('idle');
  });
});

suite('losing the edge', () => {
  test('no pictures are doubted soon and said at 1.5 s', () => {
    const drive = playing();
    expect(drive.pass(LIMITS.doubtMs - 250)).toEqual([]);
    expect(drive.pass(250).map((e) => e.type)).toEqual(['probe']);
    expect(drive.pass(500)).toEqual([]);
    expect(describe(drive.state).text).toBe('Live');
    expect(drive.pass(250).map((e) => e.type)).toEqual(['probe']);
    expect(drive.state.phase).toBe('stalled');
  });

  test('a doubt is forgotten when pictures come before its answer', () => {
    const drive = playing('whep');
    drive.pass(LIMITS.doubtMs);
    drive.pass(250, 7);
    expect(drive.tell({ type: 'probed', alive: false, seen: null })).toEqual([]);
    expect(drive.state.phase).toBe('playing');
  });

  test('a dead edge is left at once', () => {
    const drive = playing();
    drive.pass(LIMITS.doubtMs);
    const effects = drive.tell({ type: 'probed', alive: false, seen: null });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session', 'open-session']);
    expect(describe(drive.state).text).toBe('Edge lost, reconnecting');
  });

  test('counts its attempts and is back at the first picture', () => {
    const drive = playing();
    drive.tell(lost('ice'));
    drive.tell(refusal(503));
    drive.pass(500);
    expect(drive.state).toMatchObject({ phase: 'asking', attempt: 2 });
    expect(describe(drive.state).text).toBe('Edge lost, reconnecting (2)');
    drive.tell({ type: 'opened', session: session('s2', 'pe3') });
    expect(describe(drive.state).text).toBe('Reconnecting to pe3 by WebRTC (2)');
    drive.tell({ type: 'linked' });
    drive.tell({ type: 'progress', value: 3 });
    expect(drive.state.phase).toBe('playing');
    drive.pass(LIMITS.steadyMs - 250, 7);
    expect(drive.state.attempt).toBe(2);
    drive.pass(500, 7);
    expect(drive.state.attempt).toBe(0);
  });

  test('is back within 5 s when the portal says 503 with Retry-After: 2 once', () => {
    const drive = playing();
    const killedMs = drive.nowMs;
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: false, seen: null });
    drive.tell(refusal(503, 'umbel.unavailable', 2));
    while (drive.state.phase === 'backoff') drive.pass(250);
    drive.tell({ type: 'opened', session: session('s2') });
    drive.tell({ type: 'linked' });
    drive.tell({ type: 'progress', value: 1 });
    expect(drive.state.phase).toBe('playing');
    expect(drive.nowMs - killedMs).toBeLessThanOrEqual(4_500);
  });

  test('a new session on the same dead edge does not spin', () => {
    const drive = playing();
    drive.tell(lost('ice'));
    for (let n = 0; n < 50; n += 1) {
      if (drive.state.phase === 'asking') drive.tell({ type: 'opened', session: session(`s${String(n)}`) });
      if (drive.state.phase === 'connecting') drive.tell(lost('unreachable'));
      drive.pass(250);
    }
    const asked = drive.types().filter((t) => t === 'open-session').length;
    expect(asked).toBeGreaterThan(4);
    expect(asked).toBeLessThan(10);
  });

  test('never gives up while the event goes on', () => {
    const drive = playing();
    drive.tell(lost('ice'));
    let asked = 0;
    for (let n = 0; n < 4 * 3600; n += 1) {
      if (drive.state.phase === 'asking') {
        asked += 1;
        drive.tell(refusal(0, 'umbel.unreachable'));
      }
      drive.pass(250);
    }
    expect(asked).toBeGreaterThan(3600 / (LIMITS.backoffMaxMs / 1000));
    expect(drive.state.phase).toMatch(/asking|backoff/);
  });

  test('a change at the portal shortens the wait, spread over viewers', () => {
    const drive = playing();
    drive.tell(lost('ice'));
    drive.tell(refusal(503, 'umbel.no_capacity', 30));
    drive.pass(1000);
    expect(drive.state.phase).toBe('backoff');
    drive.tell({ type: 'hint' });
    expect(drive.state.phase).toBe('backoff');
    drive.pass(LIMITS.hintSpreadMs + 100);
    expect(drive.state.phase).toBe('asking');
  });

  test('an edge that answers but sends nothing is left after a while', () => {
    const drive = playing();
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: true, seen: live });
    expect(drive.state.phase).toBe('stalled');
    const effects = drive.pass(LIMITS.stallMaxMs);
    expect(effects.map((e) => e.type)).toContain('open-session');
  });

  test('a stall that passes by itself costs nothing', () => {
    const drive = playing();
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: true, seen: live });
    drive.pass(250, 7);
    expect(drive.state.phase).toBe('playing');
    expect(new Set(drive.types())).toEqual(new Set(['probe']));
  });

  test('a shaky transport is asked about while it goes on playing', () => {
    const drive = playing('hls');
    expect(drive.tell({ type: 'shaky' }).map((e) => e.type)).toEqual(['probe']);
    expect(drive.state.phase).toBe('playing');
    drive.tell({ type: 'probed', alive: false, seen: null });
    expect(drive.state.phase).toBe('asking');
  });

  test('an answer to a given-up attempt changes nothing', () => {
    const drive = playing();
    const { epoch } = drive.state;
    drive.tell(lost('ice'));
    const before = drive.state;
    drive.raw({ type: 'progress', epoch, value: 999 });
    drive.raw({ type: 'lost', epoch, reason: 'ice', message: '', retryAfterS: null });
    drive.raw({ type: 'probed', epoch, alive: false, seen: null });
    expect(drive.state).toBe(before);
  });
});

suite('the encoder and the event', () => {
  test('an encoder that is away is waited for on the same connection', () => {
    const drive = playing();
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: true, seen: { state: 'live', flowing: false } });
    expect(describe(drive.state).text).toBe('The encoder is away; waiting');
    const effects = drive.pass(60_000);
    expect(new Set(effects.map((e) => e.type))).toEqual(new Set(['probe']));
    drive.pass(250, 7);
    expect(drive.state.phase).toBe('playing');
  });

  test('an encoder that is back but not to be seen here leads to a new session', () => {
    const drive = playing();
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: true, seen: { state: 'live', flowing: false } });
    drive.tell({ type: 'seen', seen: live });
    expect(drive.state.phase).toBe('stalled');
    expect(drive.pass(LIMITS.stallMaxMs).map((e) => e.type)).toContain('open-session');
  });

  test('the edge can die while the encoder is away', () => {
    const drive = playing();
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: true, seen: { state: 'live', flowing: false } });
    drive.tell({ type: 'probed', alive: false, seen: null });
    expect(drive.state.phase).toBe('asking');
    expect(describe(drive.state).text).toBe('The encoder is away; waiting');
  });

  test('an open event without a stream connects, then waits', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    drive.tell({ type: 'linked' });
    drive.pass(LIMITS.firstPictureMs);
    expect(drive.effects.at(-1)).toMatchObject({ type: 'probe' });
    drive.tell({ type: 'probed', alive: true, seen: { state: 'open', flowing: false } });
    expect(drive.state.phase).toBe('waiting');
  });

  test('a scheduled event is waited for and goes live by itself', () => {
    const drive = new Drive();
    drive.tell({ type: 'seen', seen: { state: 'scheduled', flowing: null } });
    drive.tell({ type: 'start' });
    expect(drive.effects).toEqual([]);
    expect(drive.state.phase).toBe('early');
    expect(drive.pass(LIMITS.earlyLookEveryMs).map((e) => e.type)).toEqual(['look']);
    drive.tell({ type: 'seen', seen: { state: 'open', flowing: false } });
    expect(drive.state.phase).toBe('asking');
  });

  test('409 event_not_open looks at the event to learn why', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell(refusal(409, 'umbel.event_not_open'));
    expect(drive.effects.at(-1)).toEqual({ type: 'look' });
    drive.tell({ type: 'seen', seen: { state: 'ended', flowing: null } });
    expect(describe(drive.state).text).toBe('This event has ended');
  });

  test('404 is final', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell(refusal(404, 'umbel.not_found'));
    expect(drive.pass(600_000).map((e) => e.type)).toEqual([]);
    expect(drive.state.phase).toBe('missing');
  });

  test.each(['ended', 'cancelled'] as const)('%s while playing lets go of everything', (state) => {
    const drive = playing();
    const effects = drive.tell({ type: 'seen', seen: { state, flowing: false } });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session']);
    expect(drive.state).toMatchObject({ phase: 'over', session: null });
  });
});

suite('leaving an edge that is to rest', () => {
  test('by WebRTC it goes on playing until the new edge is there', () => {
    const drive = playing();
    expect(drive.tell({ type: 'move' })).toEqual([{ type: 'hand-over', epoch: drive.state.epoch }]);
    expect(drive.state.phase).toBe('playing');
    const effects = drive.tell({ type: 'moved', session: session('s2', 'pe1') });
    expect(effects).toEqual([{ type: 'close-session', session: session('s1') }]);
    expect(drive.state).toMatchObject({ phase: 'playing', session: { id: 's2', edge: 'pe1' } });
    drive.pass(1000, 7);
    expect(drive.state.phase).toBe('playing');
  });

  test('a new edge that then sends nothing is left like any other', () => {
    const drive = playing();
    drive.tell({ type: 'moved', session: session('s2', 'pe1') });
    drive.pass(LIMITS.stallMs);
    expect(drive.state.phase).toBe('stalled');
    drive.pass(LIMITS.stallMaxMs);
    expect(drive.effects.at(-1)).toMatchObject({ type: 'open-session' });
  });

  test('a move that comes too late is given back', () => {
    const drive = playing();
    const { epoch } = drive.state;
    drive.tell(lost('unreachable'));
    drive.effects = [];
    drive.raw({ type: 'moved', epoch, session: session('late', 'pe1') });
    expect(drive.effects).toEqual([{ type: 'close-session', session: session('late', 'pe1') }]);
  });

  test('HLS asks anew', () => {
    const drive = playing('hls');
    expect(drive.tell({ type: 'move' }).map((e) => e.type)).toEqual(['disconnect', 'close-session', 'open-session']);
  });

  test('who does not play has nothing to move', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    expect(drive.tell({ type: 'move' })).toEqual([]);
  });
});

suite('the viewer', () => {
  test('choosing HLS reconnects over the same session', () => {
    const drive = playing();
    const effects = drive.tell({ type: 'choose', choice: 'hls' });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'connect']);
    expect(effects[1]).toMatchObject({ protocol: 'hls', session: { id: 's1' } });
  });

  test('choosing what is in use changes nothing', () => {
    const drive = playing();
    expect(drive.tell({ type: 'choose', choice: 'whep' })).toEqual([]);
    expect(drive.state.phase).toBe('playing');
  });

  test('a pause is not a stall', () => {
    const drive = playing('hls');
    drive.tell({ type: 'pause' });
    expect(drive.pass(60_000)).toEqual([]);
    expect(describe(drive.state).text).toBe('Paused');
    drive.tell({ type: 'resume' });
    expect(drive.pass(250)).toEqual([]);
    drive.pass(LIMITS.stallMs - 250);
    expect(drive.state.phase).toBe('stalled');
  });

  test('leaving closes the session and coming back opens one', () => {
    const drive = playing();
    expect(drive.tell({ type: 'leave' }).map((e) => e.type)).toEqual(['disconnect', 'close-session']);
    expect(drive.tell({ type: 'leave' })).toEqual([]);
    expect(drive.tell({ type: 'start' }).map((e) => e.type)).toEqual(['open-session']);
  });
});

suite('back-off', () => {
  test('is at once, then doubles up to the limit', () => {
    expect([0, 1, 2, 3].map((n) => backoffMs(n, 1, null))).toEqual([0, 250, 500, 1000]);
    expect(backoffMs(40, 1, null)).toBe(LIMITS.backoffMaxMs);
  });

  test('is spread', () => {
    expect(backoffMs(3, 0, null)).toBe(500);
  });

  test('is never shorter than the server asks', () => {
    for (const random of [0, 0.3, 0.99]) expect(backoffMs(0, random, 2)).toBeGreaterThanOrEqual(2000);
  });
});

suite('whatever happens', () => {
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
    const pick = <T,>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    const told: PlayerEvent[] = [
      { type: 'start' },
      { type: 'seen', seen: { state: pick(['scheduled', 'open', 'live', 'ended']), flowing: pick([true, false, null]) } },
      { type: 'opened', epoch, session: session(String(random())) },
      { type: 'not-opened', epoch, status: pick([0, 404, 409, 503]), code: pick(['x', 'umbel.event_not_open']), message: '', retryAfterS: pick([null, 2]) },
      { type: 'linked', epoch },
      { type: 'shaky', epoch },
      { type: 'lost', epoch, reason: pick(['ice', 'refused', 'unreachable', 'media']), message: '', retryAfterS: null },
      { type: 'progress', epoch, value: Math.floor(random() * 100) },
      { type: 'probed', epoch, alive: pick([true, true, false]), seen: pick([null, live, { state: 'live', flowing: false }]) },
      { type: 'move' },
      { type: 'moved', epoch, session: session(String(random()), 'pe1') },
      { type: 'tick' },
      { type: 'hint' },
      { type: 'choose', choice: pick(['auto', 'whep', 'hls']) },
      { type: 'pause' },
      { type: 'resume' },
      { type: 'leave' },
    ];
    return pick(told);
  }

  test('no session and no transport is leaked, and every phase is reached', () => {
    const reached = new Set<string>();
    for (let seed = 1; seed <= 300; seed += 1) {
      const random = chance(seed);
      const drive = new Drive();
      const held = new Set<string>();
      let connected = false;
      for (let n = 0; n < 120; n += 1) {
        drive.nowMs += Math.floor(random() * 2000);
        const event = anyEvent(random, drive.state.epoch - (random() < 0.1 ? 1 : 0));
        const wanted = drive.state.phase === 'asking';
        if (event.type === 'opened' && !(wanted && event.epoch === drive.state.epoch) && event.epoch === drive.state.epoch) continue;
        if (event.type === 'opened' || event.type === 'moved') held.add(event.session.id);
        for (const effect of drive.raw(event)) {
          if (effect.type === 'close-session') held.delete(effect.session.id);
          if (effect.type === 'connect') {
            expect(connected, 'a transport over another').toBe(false);
            connected = true;
          }
          if (effect.type === 'disconnect') connected = false;
        }
        const kept = drive.state.session;
        expect([...held]).toEqual(kept ? [kept.id] : []);
        expect(connected).toBe(kept !== null);
        reached.add(drive.state.phase);
        expect(describe(drive.state).text).not.toBe('');
      }
    }
    expect([...reached].sort()).toEqual([...phases].sort());
  });

  test('every phase but the final ones goes on by itself', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = chance(seed);
      const drive = new Drive();
      drive.tell({ type: 'start' });
      for (let n = 0; n < 60; n += 1) {
        drive.nowMs += 300;
        const event = anyEvent(random, drive.state.epoch);
        if (event.type === 'leave' || event.type === 'pause') continue;
        drive.raw(event);
      }
      if (['idle', 'over', 'missing'].includes(drive.state.phase)) continue;
      drive.tell({ type: 'resume' });
      expect(drive.pass(20_000).length, drive.state.phase).toBeGreaterThan(0);
    }
  });
});
