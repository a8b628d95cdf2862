import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { ApiError } from '../kit/api';
import { FakeWorld } from './fake-world';
import { Player } from './runner';

let world: FakeWorld;
let player: Player;

beforeEach(() => {
  vi.useFakeTimers();
  world = new FakeWorld();
  player = new Player(world.ports, 'auto', true);
});

afterEach(() => {
  player.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const phase = (): string => player.get().state.phase;

test('plays, and notifies its subscribers', async () => {
  const texts = new Set<string>();
  player.subscribe(() => texts.add(player.get().status.text));
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  expect(phase()).toBe('playing');
  expect([...texts]).toEqual(['Getting ready', 'Finding the nearest edge', 'Connecting to pe4 over WebRTC', 'Live']);
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
  expect(player.get().status.text).toBe('Waiting for the encoder');
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
