// What discover shows: events that are live, to come and over, and providers. Pure, but for the reading it is given.

import { t } from '../i18n/t';
import type { Api } from './api';
import type { ListedProvider, LiveEvent, Section } from './types';

/** Some of what there is, and whether there is more. */
export interface Listing<T> {
  items: T[];
  hasMore: boolean;
}

export interface Shelf extends Record<Section, Listing<LiveEvent>> {
  query: string;
}

export type Counts = Readonly<Record<Section, number>>;

/** How many of each section are shown at first, and how many more each time. */
export const FIRST: Counts = { live: 24, soon: 24, past: 12 };
export const STEP = 24;
/** Further ones are found by a search. */
export const MOST = 500;

const PAGE = 100;

interface Page<T> {
  items: T[];
  cursor: string;
}

/** The first `count` items, page by page. */
export async function readListing<T>(
  count: number,
  read: (limit: number, cursor: string) => Promise<Page<T>>,
): Promise<Listing<T>> {
  const items: T[] = [];
  let cursor = '';
  do {
    const page = await read(Math.min(PAGE, count - items.length), cursor);
    items.push(...page.items);
    cursor = page.cursor;
  } while (cursor !== '' && items.length < count);
  return { items, hasMore: cursor !== '' && count < MOST };
}

const rank = (event: LiveEvent): number => (event.state === 'live' ? 0 : 1);
const viewers = (event: LiveEvent): number => event.stream?.viewers ?? 0;

/** What is on before what waits for its encoder, the most watched first. */
export function byAudience(events: readonly LiveEvent[]): LiveEvent[] {
  return [...events].sort((a, b) => rank(a) - rank(b) || viewers(b) - viewers(a));
}

export async function readShelf(api: Api, query: string, providerId: string | null, counts: Counts): Promise<Shelf> {
  const section = (name: Section) =>
    readListing(counts[name], (limit, cursor) =>
      api.discoverEvents({
        section: name,
        limit,
        ...(query !== '' && { q: query }),
        ...(providerId !== null && { provider_id: providerId }),
        ...(cursor !== '' && { cursor }),
      }),
    );
  const [live, soon, past] = await Promise.all([section('live'), section('soon'), section('past')]);
  return { query, live: { ...live, items: byAudience(live.items) }, soon, past };
}

export function readProviders(api: Api, query: string, count: number): Promise<Listing<ListedProvider>> {
  return readListing(count, (limit, cursor) =>
    api.discoverProviders({ limit, ...(query !== '' && { q: query }), ...(cursor !== '' && { cursor }) }),
  );
}

/** How much a search found, for people: "Found 2 events and 1 provider." */
export function describeFound(shelf: Shelf, providers: Listing<ListedProvider>): string {
  const sections = [shelf.live, shelf.soon, shelf.past];
  const count = sections.reduce((sum, one) => sum + one.items.length, 0);
  const hasMore = sections.some((one) => one.hasMore);
  const offerers = { count: providers.items.length };
  return t('discover.found', {
    events: t(hasMore ? 'found.moreEvents' : 'found.events', { count }),
    providers: t(providers.hasMore ? 'found.moreProviders' : 'found.providers', offerers),
  });
}
