import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { ApiError } from '../kit/api';
import type { LiveEvent, Session } from '../kit/types';
import type { Protocol } from './machine';
import { Player, type Ports } from './runner';
import { NOTHING_KNOWN, type Signals, type Transport } from './transport';

/** A small world: edges that live or die, a portal that answers or refuses. */
class World {
  flowing = true;
  edgeAlive = true;
  refuseOnce: ApiError | null = null;
  portalHangs = false;
  opened = 0;
  closed: string[] = [];
  transports: { protocol: Protocol; signals: Signals; open: boolean }[] = [];
  leaving: boolean[] = [];
  edge = 'pe4';
  links = true;
  private frames = 0;

  readonly ports: Ports = {
    openSession: () => {
      const refusal = this.refuseOnce;
      this.refuseOnce = null;
      if (refusal) return Promise.reject(refusal);
      this.opened += 1;
      this.edgeAlive = true;
      return Promise.resolve(this.session(this.opened));
    },
    closeSession: (session) => {
      this.closed.push(session.id);
      return Promise.resolve();
    },
    look: () => (this.portalHangs ? new Promise(() => undefined) : Promise.resolve(this.event())),
    alive: () => Promise.resolve(this.edgeAlive),
    connect: (protocol, _session, signals) => this.connect(protocol, signals),
    nowMs: () => Date.now(),
    random: () => 0.5,
  };

  private connect(protocol: Protocol, signals: Signals): Transport {
    const entry = { protocol, signals, open: true };
    this.transports.push(entry);
    setTimeout(() => {
      if (entry.open && this.links) signals.linked();
    }, 100);
    return {
      sample: () => {
        if (this.edgeAlive && this.flowing) this.frames += 6;
        return Promise.resolve({ progress: this.frames, framesDecoded: this.frames, details: NOTHING_KNOWN });
      },
      close: (leaving) => {
        entry.open = false;
        this.leaving.push(leaving);
      },
    };
  }

  private session(n: number): Session {
    const base = `http://127.0.4.1:${String(9000 + n)}`;
    return { id: `s${String(n)}`, edge: this.edge, whep: base, hls: base, token: 't', expires_at: '' };
  }

  event(): LiveEvent {
    const stream = { flowing: this.flowing, protocol: 'rtmp', video: 'h264', audio: 'aac', width: 1280, height: 720, transcoding: '', error: '', mbps: 2, viewers: 1 };
    return { id: 'ev', provider_id: 'p', provider_name: 'P', title: 'T', description: '', starts_at: '', ends_at: '', state: 'live', version: 1, stream };
  }
}

let world: World;
let player: Player;

beforeEach(() => {
  vi.useFakeTimers();
  world = new World();
  player = new Player(world.ports, 'auto', true);
});

afterEach(() => {
  player.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const phase = (): string => player.get().state.phase;

test('plays, and tells its subscribers', async () => {
  const seen = new Set<string>();
  player.subscribe(() => seen.add(player.get().status.text));
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  expect(phase()).toBe('playing');
  expect([...seen]).toEqual(['Getting ready', 'Finding the nearest edge', 'Connecting to pe4 by WebRTC', 'Live']);
  expect(player.get().framesDecoded).toBeGreaterThan(0);
});

test('is back within 5 s after its edge died, with a refusal on the way', async () => {
  player.start(null);
  await vi.advanceTimersByTimeAsync(3000);
  world.edgeAlive = false;
  world.portalHangs = true;
  world.refuseOnce = new ApiError(503, 'umbel.unavailable', 'no', {}, 2);
  const diedMs = Date.now();
  await vi.advanceTimersByTimeAsync(2000);
  expect(phase()).toBe('backoff');
  while (phase() !== 'playing') await vi.advanceTimersByTimeAsync(50);
  expect(Date.now() - diedMs).toBeLessThan(5000);
  expect(world.closed).toEqual(['s1']);
  expect(player.get()).toMatchObject({ sessionsOpened: 2 });
});

test('waits for the encoder without a new session', async () => {
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(2000);
  world.flowing = false;
  await vi.advanceTimersByTimeAsync(30_000);
  expect(player.get().status.text).toBe('The encoder is away; waiting');
  world.flowing = true;
  await vi.advanceTimersByTimeAsync(500);
  expect(phase()).toBe('playing');
  expect(world.opened).toBe(1);
});

test('leaving closes the transport as one that must outlive the page', async () => {
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  player.stop();
  expect(world.leaving).toEqual([true]);
  expect(world.closed).toEqual(['s1']);
});

test('a transport that failed to connect leaves no second one behind', async () => {
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(10);
  world.transports[0]?.signals.lost('unreachable', 'gone', null);
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.transports.map((t) => t.open)).toEqual([false, true]);
});

test('moves to another edge with both connected for a moment, and no picture missed', async () => {
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  const phases = new Set<string>();
  player.subscribe(() => phases.add(phase()));
  world.edge = 'pe1';
  player.send({ type: 'move' });
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(50);
  expect(world.transports.map((t) => t.open)).toEqual([true, true]);
  await vi.advanceTimersByTimeAsync(2000);
  expect(world.transports.map((t) => t.open)).toEqual([false, true]);
  expect(world.closed).toEqual(['s1']);
  expect(player.get().state.session).toMatchObject({ id: 's2', edge: 'pe1' });
  expect([...phases]).toEqual(['playing']);
  // From now on it is the new edge whose loss counts.
  world.transports[1]?.signals.lost('unreachable', 'gone', null);
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.transports).toHaveLength(3);
});

test('stays where it is when there is no other edge', async () => {
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.transports.map((t) => t.open)).toEqual([true]);
  expect(world.closed).toEqual(['s2']);
  world.refuseOnce = new ApiError(503, 'umbel.no_capacity', 'no', {}, 2);
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(1000);
  expect(phase()).toBe('playing');
});

test('gives a new edge up that does not connect, or when the old one is lost first', async () => {
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  world.edge = 'pe1';
  world.links = false;
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(5000);
  expect(world.transports.map((t) => t.open)).toEqual([true, false]);
  expect(world.closed).toEqual(['s2']);
  expect(phase()).toBe('playing');
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(10);
  world.links = true;
  world.transports[0]?.signals.lost('unreachable', 'gone', null);
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.transports.map((t) => t.open)).toEqual([false, false, false, true]);
  expect(world.closed).toEqual(['s2', 's3', 's1']);
});
