import { expect, test } from 'vitest';

import { byAudience, describeFound, type Listing, MOST, readListing, type Shelf } from './shelf';
import type { ListedProvider, LiveEvent } from './types';

/** A portal with that many numbers, in pages of at most 100. */
function numbers(count: number) {
  const limits: number[] = [];
  const read = (limit: number, cursor: string): Promise<{ items: number[]; cursor: string }> => {
    limits.push(limit);
    const from = cursor === '' ? 0 : Number(cursor);
    const until = Math.min(count, from + limit);
    const items = Array.from({ length: until - from }, (_, at) => from + at);
    return Promise.resolve({ items, cursor: until < count ? String(until) : '' });
  };
  return { limits, read };
}

test('a listing is read page by page, as far as it is shown', async () => {
  const many = numbers(1000);
  const found = await readListing(250, many.read);
  expect(found.items).toEqual(Array.from({ length: 250 }, (_, at) => at));
  expect(found.hasMore).toBe(true);
  expect(many.limits).toEqual([100, 100, 50]);
});

test('there is more until the last one, and until there are too many to show', async () => {
  expect((await readListing(24, numbers(24).read)).hasMore).toBe(false);
  expect((await readListing(24, numbers(25).read)).hasMore).toBe(true);
  expect((await readListing(MOST, numbers(1000).read)).hasMore).toBe(false);
  expect(await readListing(24, numbers(0).read)).toEqual({ items: [], hasMore: false });
});

const event = (id: string, state: string, viewers?: number): LiveEvent =>
  ({ id, state, stream: viewers === undefined ? null : { viewers } }) as LiveEvent;

test('the most watched is first, and what waits for its encoder last', () => {
  const some = [event('a', 'open', 9), event('b', 'live', 1), event('c', 'live', 5), event('d', 'live')];
  expect(byAudience(some).map((one) => one.id)).toEqual(['c', 'b', 'd', 'a']);
});

test('what was found is said in numbers', () => {
  const of = <T>(items: T[], hasMore = false): Listing<T> => ({ items, hasMore });
  const shelf: Shelf = { query: 'x', live: of([event('a', 'live')]), soon: of([]), past: of([]) };
  const provider = {} as ListedProvider;
  expect(describeFound(shelf, of([]))).toBe('Found 1 event and 0 providers.');
  expect(describeFound({ ...shelf, past: of([event('b', 'ended')], true) }, of([provider]))).toBe(
    'Found more than 2 events and 1 provider.',
  );
});
