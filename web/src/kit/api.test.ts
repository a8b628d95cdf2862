import { describe, expect, test } from 'vitest';
import { ApiError, asApiError, createApi, parseRetryAfter } from './api';
import { errorText } from './error-text';

interface Sent {
  url: string;
  init: RequestInit;
}

/** A fetch that gives these responses in order and keeps the requests. */
function portal(...answers: (Response | Error)[]) {
  const sent: Sent[] = [];
  const state = { isSignedIn: true, refused: 0 };
  const waits: number[] = [];
  const api = createApi({
    fetch: (url, init) => {
      sent.push({ url: String(url), init: init ?? {} });
      const next = answers.shift();
      if (next === undefined) throw new Error('more requests than expected');
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
    isSignedIn: () => state.isSignedIn,
    onRefused: () => {
      state.refused += 1;
      state.isSignedIn = false;
    },
    wait: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
  });
  const header = (n: number, name: string): string | null => new Headers(sent[n]?.init.headers).get(name);
  return { api, sent, state, header, waits };
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers });

function failure(promise: Promise<unknown>): Promise<ApiError> {
  return promise.then(
    () => {
      throw new Error('expected a failure');
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(ApiError);
      return error as ApiError;
    },
  );
}

describe('errors', () => {
  test('the portal’s own message is shown', async () => {
    const body = { code: 'umbel.no_capacity', message: 'No edge has room.', details: { node: 'pe4' } };
    const { api } = portal(json(503, body, { 'Retry-After': '5' }));
    expect(await failure(api.openSession('ev', null, null))).toMatchObject({
      status: 503,
      code: 'umbel.no_capacity',
      message: 'No edge has room.',
      details: { node: 'pe4' },
      retryAfterS: 5,
    });
  });

  test.each([
    ['a proxy’s page', new Response('<h1>Bad gateway</h1>', { status: 502 })],
    ['nothing', new Response(null, { status: 502 })],
    ['null', json(502, null)],
    ['wrong types', json(502, { code: 7, message: [], details: 'x' })],
  ])('%s still gives a message', async (_what, response) => {
    const { api } = portal(response);
    const error = await failure(api.events());
    expect(error).toMatchObject({ status: 502, code: 'umbel.error' });
    expect(errorText(error)).toBe('The server answered with status 502.');
  });

  test('no answer at all', async () => {
    const { api } = portal(new TypeError('Failed to fetch'));
    expect(await failure(api.events())).toMatchObject({ status: 0, code: 'umbel.unreachable' });
  });

  test('too late an answer', async () => {
    const { api } = portal(new DOMException('late', 'TimeoutError'));
    expect(await failure(api.events())).toMatchObject({ status: 0, code: 'umbel.timeout' });
  });

  test('an unreadable success', async () => {
    const { api } = portal(new Response('oops', { status: 200 }));
    expect(await failure(api.events())).toMatchObject({ status: 200, code: 'umbel.not_json' });
  });

  test('any thrown thing becomes one kind', () => {
    expect(asApiError('?')).toBeInstanceOf(ApiError);
    const known = new ApiError(404, 'umbel.not_found', 'no');
    expect(asApiError(known)).toBe(known);
  });
});

describe('the sign-in', () => {
  test('is dropped when refused, once', async () => {
    const refusal = (): Response => json(401, { code: 'umbel.unauthenticated', message: 'no' });
    const { api, state, header } = portal(refusal(), refusal());
    await failure(api.me());
    await failure(api.me());
    expect(header(0, 'Authorization')).toBeNull();
    expect(state.refused).toBe(1);
  });

  test('is by a cookie: what changes something shows that it comes from our page, and nothing else does', async () => {
    const { api, header } = portal(json(200, {}), json(200, {}), json(200, {}), json(200, {}));
    await api.signOut();
    await api.endEvent('ev');
    await api.changeEvent('ev', { version: 1 });
    await api.events();
    const headers = [0, 1, 2, 3].map((n) => header(n, 'X-CSRF-Protection'));
    expect(headers).toEqual(['1', '1', '1', null]);
  });

  test('a wrong password is not a lost sign-in', async () => {
    const { api, state, header, sent } = portal(json(401, { code: 'umbel.bad_credentials', message: 'no' }));
    expect(await failure(api.signIn('ada', 'x'))).toMatchObject({ code: 'umbel.bad_credentials' });
    expect(header(0, 'X-CSRF-Protection')).toBe('1');
    expect(String(sent[0]?.init.body)).toBe('{"username":"ada","password":"x"}');
    expect(state.refused).toBe(0);
  });

  test('watching does without', async () => {
    const { api, header } = portal(json(201, { id: 's1' }));
    expect(await api.openSession('ev', 'pe4', null)).toMatchObject({ id: 's1' });
    expect(header(0, 'Authorization')).toBeNull();
  });
});

describe('requests', () => {
  test('ids are escaped, the access node is passed on', async () => {
    const { api, sent } = portal(json(201, { id: 's1' }));
    await api.openSession('a/b', 'pe4', null);
    expect(sent[0]?.url).toBe('/api/v1/events/a%2Fb/sessions');
    expect(sent[0]?.init.body).toBe('{"access_node":"pe4"}');
  });

  test('a quality is named where it is not the source', async () => {
    const { api, sent } = portal(json(201, { id: 's1' }), json(201, { id: 's2' }));
    await api.openSession('ev', null, '360p');
    await api.openSession('ev', null, null);
    expect(sent.map((one) => one.init.body)).toEqual(['{"quality":"360p"}', '{}']);
  });

  test('a session is closed with its own token, outliving the page, whatever the answer', async () => {
    const session = {
      id: 's1',
      quality: 'source',
      edge: 'pe4',
      whep: '',
      hls: '',
      hls_subtitled: null,
      token: 'session-token',
      expires_at: '',
    };
    const { api, sent, header, state } = portal(json(401, {}));
    await api.closeSession(session);
    expect(sent[0]).toMatchObject({ url: '/api/v1/sessions/s1', init: { method: 'DELETE', keepalive: true } });
    expect(header(0, 'Authorization')).toBe('Bearer session-token');
    expect(state.refused).toBe(0);
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2030-01-01T00:00:00Z');
  test.each([
    [null, null],
    ['', null],
    ['5', 5],
    ['soon', null],
    ['Tue, 01 Jan 2030 00:00:30 GMT', 30],
    ['Mon, 31 Dec 2029 00:00:00 GMT', 0],
  ])('%s is %s', (value, seconds) => {
    expect(parseRetryAfter(value, now)).toBe(seconds);
  });
});

describe('"not now" (503)', () => {
  const busy = (retryAfter = '2'): Response =>
    json(
      503,
      { code: 'umbel.database_unavailable', message: 'database is locked' },
      retryAfter === '' ? {} : { 'Retry-After': retryAfter },
    );

  test('a locked database is retried before a person sees it', async () => {
    const { api, sent, waits } = portal(busy(), busy('1'), json(200, { id: 'ev' }));
    expect(await api.endEvent('ev')).toBeUndefined();
    expect(sent.map((one) => one.init.method)).toEqual(['POST', 'POST', 'POST']);
    expect(waits[0]).toBeGreaterThanOrEqual(2000);
    expect(waits[0]).toBeLessThanOrEqual(2500);
    expect(waits[1]).toBeGreaterThanOrEqual(1000);
    expect(waits[1]).toBeLessThanOrEqual(1250);
  });

  test('the third refusal is shown', async () => {
    const { api, sent } = portal(busy(), busy(), busy());
    expect(await failure(api.events())).toMatchObject({ status: 503, message: 'database is locked' });
    expect(sent).toHaveLength(3);
  });

  test('the next attempt’s own error is shown', async () => {
    const { api, sent } = portal(busy(), json(409, { code: 'umbel.version_mismatch', message: 'changed' }));
    expect(await failure(api.changeEvent('ev', { version: 1 }))).toMatchObject({ status: 409 });
    expect(sent).toHaveLength(2);
  });

  test.each([
    ['names no time', busy('')],
    ['names a long time', busy('5')],
    ['is another error', json(500, {}, { 'Retry-After': '1' })],
  ])('what %s is shown at once', async (_what, response) => {
    const { api, sent, waits } = portal(response);
    await failure(api.events());
    expect([sent.length, waits.length]).toEqual([1, 0]);
  });

  test('the player decides by itself', async () => {
    const { api, sent } = portal(busy());
    expect(await failure(api.openSession('ev', null, null))).toMatchObject({ status: 503, retryAfterS: 2 });
    expect(sent).toHaveLength(1);
  });
});
