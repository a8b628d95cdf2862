import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { FollowOptions, follow } from '../kit/feed';
import { FakeWorld } from './fake-world';
import { followDrain } from './follow-drain';
import { Player } from './runner';

type Listener = Parameters<typeof follow>[0];

let world: FakeWorld;
let player: Player;
let unfollowDrain: () => void;
let following: Map<Listener, FollowOptions | undefined>;

const listen: typeof follow = (listener, terms) => {
  following.set(listener, terms);
  return () => following.delete(listener);
};

function drain(subject: string): void {
  for (const listener of following.keys()) listener({ kind: 'drain', subject });
}

beforeEach(() => {
  vi.useFakeTimers();
  following = new Map();
  world = new FakeWorld();
  player = new Player(world.ports, 'auto', true);
  unfollowDrain = followDrain(player, listen, () => 0.9);
});

afterEach(() => {
  unfollowDrain();
  player.stop();
  expect(following.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

async function plays(): Promise<void> {
  player.start(world.event());
  await vi.advanceTimersByTimeAsync(1000);
  expect(player.get().state.phase).toBe('playing');
}

test('listens while it plays, in a hidden page too', async () => {
  expect(following.size).toBe(0);
  await plays();
  expect([...following.values()]).toEqual([{ whileHidden: true }]);
  world.flowing = false;
  await vi.advanceTimersByTimeAsync(5000);
  expect(following.size).toBe(0);
  world.flowing = true;
  await vi.advanceTimersByTimeAsync(5000);
  expect(following.size).toBe(1);
  player.stop();
  expect(following.size).toBe(0);
});

test('leaves its edge when that is named, and only then', async () => {
  await plays();
  world.edge = 'pe1';
  drain('pe1');
  await vi.advanceTimersByTimeAsync(5000);
  expect(world.opened).toBe(1);
  drain('pe4');
  await vi.advanceTimersByTimeAsync(5000);
  expect(player.get().state.session).toMatchObject({ edge: 'pe1' });
  expect(world.closed).toEqual(['s1']);
});

test('is not delayed by repeated changes', async () => {
  await plays();
  for (let n = 0; n < 30; n += 1) {
    drain('pe4');
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(world.opened).toBe(2);
});
