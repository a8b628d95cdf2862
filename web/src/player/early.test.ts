import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { ApiError } from '../kit/api';
import { Early, type Portal, UNUSED_MS } from './early';
import { FakeWorld } from './fake-world';

const WANTED = { node: 'pe4', choice: 'auto', quality: 'source' } as const;

/** A portal over the player's fake world, which notes the requests. */
function portalOf(world: FakeWorld, requests: string[] = []): Portal {
  return {
    event: (eventId) => {
      requests.push(`event ${eventId}`);
      return Promise.resolve(world.event());
    },
    openSession: (eventId, node, quality) => {
      requests.push(`session ${eventId} ${String(node)} ${String(quality)}`);
      return world.ports.openSession(quality ?? 'source');
    },
    closeSession: world.ports.closeSession,
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test('asks for the event and a session at once, and gives each away once', async () => {
  const requests: string[] = [];
  const connected: string[] = [];
  const early = new Early(portalOf(new FakeWorld(), requests), (session) => {
    connected.push(session.whep);
  });
  early.begin('ev', { ...WANTED, quality: '360p' });
  expect(requests).toEqual(['event ev', 'session ev pe4 360p']);
  expect(early.knownEvent('ev')).toBeNull();
  await vi.advanceTimersByTimeAsync(0);
  expect(early.knownEvent('ev')?.id).toBe('ev');
  expect(early.knownEvent('other')).toBeNull();
  expect((await early.takeEvent('ev'))?.id).toBe('ev');
  expect(early.knownEvent('ev')).toBeNull();
  const session = await early.takeSession('ev', '360p');
  expect(session?.id).toBe('s1');
  expect(connected).toEqual([session?.whep]);
  expect(early.takeEvent('ev')).toBeNull();
  expect(early.takeSession('ev', '360p')).toBeNull();
});

test('a session whose quality depends on the event is left to the player', async () => {
  const requests: string[] = [];
  const early = new Early(portalOf(new FakeWorld(), requests), () => undefined);
  early.begin('ev', WANTED, false);
  await vi.advanceTimersByTimeAsync(UNUSED_MS);
  expect(requests).toEqual(['event ev']);
  expect(early.takeSession('ev', 'vp8')).toBeNull();
});

test('closes a session that nobody takes, and none that was taken', async () => {
  const world = new FakeWorld();
  const early = new Early(portalOf(world), () => undefined);
  early.begin('ev', WANTED);
  await vi.advanceTimersByTimeAsync(UNUSED_MS - 1);
  expect(world.closed).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(world.closed).toEqual(['s1']);
  early.begin('ev', WANTED);
  expect(await early.takeSession('ev', 'source')).toMatchObject({ id: 's2' });
  await vi.advanceTimersByTimeAsync(2 * UNUSED_MS);
  expect(world.closed).toEqual(['s1']);
});

test.each([
  ['other', 'source'],
  ['ev', '360p'],
])('a session of another event or quality is closed: %s %s', async (eventId, quality) => {
  const world = new FakeWorld();
  const early = new Early(portalOf(world), () => undefined);
  early.begin('ev', WANTED);
  expect(early.takeSession(eventId, quality)).toBeNull();
  await vi.advanceTimersByTimeAsync(0);
  expect(world.closed).toEqual(['s1']);
});

test('a refusal reaches who waits for it, and nobody later', async () => {
  const world = new FakeWorld();
  const early = new Early(portalOf(world), () => undefined);
  world.refuseOnce = new ApiError(409, 'umbel.event_not_open', 'Not open.');
  early.begin('ev', WANTED);
  await expect(early.takeSession('ev', 'source')).rejects.toMatchObject({ status: 409 });
  world.refuseOnce = new ApiError(409, 'umbel.event_not_open', 'Not open.');
  early.begin('ev', WANTED);
  await vi.advanceTimersByTimeAsync(0);
  expect(early.takeSession('ev', 'source')).toBeNull();
  await vi.advanceTimersByTimeAsync(2 * UNUSED_MS);
  expect(world.closed).toEqual([]);
});
