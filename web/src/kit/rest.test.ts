import { expect, test } from 'vitest';

import { createApi } from './api';
import type { operations } from './api-types';
import { addressOf, type CallOf, type PathOf } from './rest';
import type { LiveEvent } from './types';

test('values are escaped in paths and queries', () => {
  expect(addressOf('/api/v1/events/{event_id}/end', { path: { event_id: 'a/b' } })).toBe('/api/v1/events/a%2Fb/end');
  expect(addressOf('/api/v1/network/flows', { query: { node: 'pe 4' } })).toBe('/api/v1/network/flows?node=pe+4');
  expect(addressOf('/api/v1/me', {})).toBe('/api/v1/me');
});

test('what the OpenAPI document does not have does not compile', () => {
  const known: PathOf<'get'> = '/api/v1/events';
  // @ts-expect-error -- no such path
  const unknown: PathOf<'get'> = '/api/v1/event';
  // @ts-expect-error -- the path takes no such method
  const method: PathOf<'put'> = '/api/v1/events';
  // @ts-expect-error -- no such value in the path
  const value: CallOf<operations['get_event']> = { path: { id: 'ev' } };
  const path = { event_id: 'ev' };
  // @ts-expect-error -- no such field in the body
  const body: CallOf<operations['open_session']> = { path, json: { node: 'pe4' } };
  expect([known, unknown, method, value, body]).toHaveLength(5);
});

test('a response has the type of its operation', async () => {
  const event: Partial<LiveEvent> = { id: 'ev', state: 'live' };
  const api = createApi({
    fetch: () => Promise.resolve(new Response(JSON.stringify(event))),
    isSignedIn: () => false,
    onRefused: () => undefined,
  });
  const state: LiveEvent['state'] = (await api.event('ev')).state;
  expect(state).toBe('live');
});
