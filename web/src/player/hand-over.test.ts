import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { ApiError } from '../kit/api';
import { FakeWorld } from './fake-world';
import { LIMITS } from './model';
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

/** Plays an event that offers a choice, and chooses. */
async function chooses(quality: string, refusal: ApiError | null = null): Promise<void> {
  world.qualities = ['source', '720p', '360p'];
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  expect(phase()).toBe('playing');
  world.refuseOnce = refusal;
  player.send({ type: 'quality', quality });
}

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
  expect(player.get().state.trouble).toBe('Could not leave pe4: The portal assigned the same edge again.');
  world.refuseOnce = new ApiError(503, 'umbel.no_capacity', 'no', {}, 2);
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(1000);
  expect(phase()).toBe('playing');
  expect(player.get().state.trouble).toBe('Could not leave pe4: no');
});

test('gives up a new edge that does not connect, or when the old one is lost first', async () => {
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  world.edge = 'pe1';
  world.links = false;
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(LIMITS.handOverMs + 1000);
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

test('waits for a slow new edge, because the old one still plays', async () => {
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  world.edge = 'pe1';
  world.linkMs = LIMITS.handOverMs - 1000;
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(LIMITS.handOverMs);
  expect(player.get().state).toMatchObject({ phase: 'playing', session: { edge: 'pe1' } });
});

test('moves the next time even if the portal never answered before', async () => {
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  world.edge = 'pe1';
  let answers = (): void => undefined;
  world.answer = new Promise((resolve) => {
    answers = resolve;
  });
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(LIMITS.handOverOpenMs + 1000);
  expect(player.get().state.trouble).toBe('Could not leave pe4: The portal did not open a session in time.');
  world.answer = Promise.resolve();
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(1000);
  expect(player.get().state).toMatchObject({ session: { id: 's3', edge: 'pe1' }, trouble: '' });
  // A session that comes too late is closed.
  answers();
  await vi.advanceTimersByTimeAsync(100);
  expect(world.closed).toEqual(['s1', 's2']);
});

test('a connection without statistics does not stop those of the next one', async () => {
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  world.samples = false;
  await vi.advanceTimersByTimeAsync(500);
  world.samples = true;
  world.transports[0]?.signals.lost('unreachable', 'gone', null);
  await vi.advanceTimersByTimeAsync(2000);
  expect(phase()).toBe('playing');
});

test('changes the quality with both connected for a moment, at the same edge', async () => {
  await chooses('360p');
  await vi.advanceTimersByTimeAsync(LIMITS.chooseMs + 50);
  expect(world.transports.map((t) => t.open)).toEqual([true, true]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.transports.map((t) => t.open)).toEqual([false, true]);
  expect(world.closed).toEqual(['s1']);
  expect(player.get().state.session).toMatchObject({ id: 's2', edge: 'pe4', quality: '360p' });
  expect(player.get().sessionsOpened).toBe(2);
});

test('over HLS opens the new session first, then connects again', async () => {
  player.send({ type: 'choose', choice: 'hls' });
  await chooses('360p');
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.transports.map((t) => [t.protocol, t.open])).toEqual([
    ['hls', false],
    ['hls', true],
  ]);
  expect(world.closed).toEqual(['s1']);
  expect(player.get().state).toMatchObject({ phase: 'playing', session: { id: 's2', quality: '360p' } });
});

test.each(['auto', 'hls'] as const)('a quality that is refused leaves what plays, by %s', async (choice) => {
  player.send({ type: 'choose', choice });
  const refusal = new ApiError(422, 'umbel.no_such_quality', 'It is not on offer', {}, null);
  await chooses('360p', refusal);
  await vi.advanceTimersByTimeAsync(12_000);
  expect(player.get().state).toMatchObject({
    phase: 'playing',
    quality: 'source',
    notice: '360p is not available now: It is not on offer.',
    session: { id: 's1' },
  });
  expect(world.transports.map((t) => t.open)).toEqual([true]);
});

test('the last choice counts, and sessions for earlier ones are closed', async () => {
  await chooses('720p');
  await vi.advanceTimersByTimeAsync(LIMITS.chooseMs + 50);
  player.send({ type: 'quality', quality: '360p' });
  await vi.advanceTimersByTimeAsync(1000);
  expect(player.get().state.session).toMatchObject({ id: 's3', quality: '360p' });
  player.send({ type: 'quality', quality: '720p' });
  await vi.advanceTimersByTimeAsync(50);
  player.send({ type: 'quality', quality: '360p' });
  await vi.advanceTimersByTimeAsync(1000);
  expect(player.get().state.session).toMatchObject({ id: 's3', quality: '360p' });
  expect(world.closed).toEqual(['s2', 's1']);
  // A quality that was passed on the way was never requested.
  expect(world.opened).toBe(3);
  expect(world.transports.filter((t) => t.open)).toHaveLength(1);
});

test('a choice takes the place of a move that is under way, not a move that of a choice', async () => {
  await chooses('source');
  world.edge = 'pe1';
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(50);
  player.send({ type: 'quality', quality: '360p' });
  player.send({ type: 'move' });
  await vi.advanceTimersByTimeAsync(1000);
  expect(player.get().state.session).toMatchObject({ id: 's3', edge: 'pe1', quality: '360p' });
  expect(world.closed).toEqual(['s2', 's1']);
});
