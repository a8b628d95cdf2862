import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { account } from './account';
import { type Change, follow, MISSED, SILENCE_MS } from './feed';
import { Source, settled } from './feed-stand-in';

/** A page that can be hidden, in the place of the browser's. */
class Page extends EventTarget {
  hidden = false;

  show(shown: boolean): void {
    this.hidden = !shown;
    this.dispatchEvent(new Event('visibilitychange'));
  }
}

const open = (): Source[] => Source.made.filter((one) => one.isOpen);
const only = (): Source => {
  expect(open()).toHaveLength(1);
  return open()[0] as Source;
};
const opened = async (): Promise<Source> => {
  const source = only();
  await source.opens();
  return source;
};

let page: Page;
let ends: (() => void)[];

/** Follows until the test is over, and keeps every change. */
function record(whileHidden = false): { changes: Change[]; end: () => void } {
  const changes: Change[] = [];
  const end = follow((change) => changes.push(change), { whileHidden });
  ends.push(end);
  return { changes, end };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  page = new Page();
  Source.made = [];
  ends = [];
  vi.stubGlobal('document', page);
  vi.stubGlobal('fetch', Source.fetch);
});

afterEach(async () => {
  for (const end of ends) end();
  await settled();
  expect(open()).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test('all listeners share one connection, which ends with the last', async () => {
  const [one, other] = [record(), record()];
  await (await opened()).emits('event', 'ev1');
  expect(one.changes).toEqual([{ kind: 'event', subject: 'ev1' }]);
  expect(other.changes).toEqual(one.changes);
  one.end();
  await only().emits('event', 'ev2');
  expect(one.changes).toHaveLength(1);
  expect(other.changes).toHaveLength(2);
});

describe('in a hidden page', () => {
  test('no listener is notified, and all are when it is shown again', () => {
    const { changes } = record();
    page.show(false);
    expect(open()).toEqual([]);
    page.show(true);
    only();
    expect(changes).toEqual([MISSED]);
  });

  test('a listener with whileHidden is notified on the same connection, and the others wait', async () => {
    const rest = record();
    const player = record(true);
    page.show(false);
    await (await opened()).emits('drain', 'pe4');
    expect(player.changes).toEqual([{ kind: 'drain', subject: 'pe4' }]);
    expect(rest.changes).toEqual([]);
    page.show(true);
    only();
    expect(Source.made).toHaveLength(1);
    expect(rest.changes).toEqual([MISSED]);
  });

  test('the connection is open only while it is needed', async () => {
    record();
    page.show(false);
    const player = record(true);
    await (await opened()).emits('drain', 'pe4');
    expect(player.changes).toHaveLength(1);
    player.end();
    expect(open()).toEqual([]);
  });

  test('a refused connection is tried again while it is needed', async () => {
    const { changes } = record(true);
    page.show(false);
    await only().refuses(503);
    expect(open()).toEqual([]);
    vi.advanceTimersByTime(3000);
    await opened();
    expect(changes).toEqual([MISSED]);
  });
});

describe('a connection', () => {
  test.each([
    ['broke', (source: Source): void => source.breaks()],
    ['ended', (source: Source): Promise<void> => source.ends()],
  ])('that %s is made again, and may have missed changes until it is open', async (_what, end) => {
    const { changes } = record();
    await end(await opened());
    await settled();
    expect(open()).toEqual([]);
    vi.advanceTimersByTime(3000);
    only();
    expect(changes).toEqual([]);
    await opened();
    expect(changes).toEqual([MISSED]);
  });

  test.each([
    ['never opens', (): Promise<void> => Promise.resolve()],
    ['opened and fell silent', (source: Source): Promise<void> => source.opens()],
    [
      'spoke and fell silent',
      async (source: Source): Promise<void> => {
        await source.opens();
        await source.emits('event', 'ev1');
      },
    ],
  ])('that %s is replaced, although it never fails', async (_what, begin) => {
    const { changes } = record();
    const first = only();
    await begin(first);
    vi.advanceTimersByTime(2 * SILENCE_MS);
    expect(await opened()).not.toBe(first);
    expect(changes.at(-1)).toEqual(MISSED);
  });

  test.each(['event', 'alive'])('that keeps sending %s is kept', async (kind) => {
    record();
    await opened();
    for (let n = 0; n < 20; n += 1) {
      vi.advanceTimersByTime(SILENCE_MS / 2);
      await only().emits(kind, '');
    }
    expect(Source.made).toHaveLength(1);
  });

  test('that sends only alive, hello and unknown events notifies no listener', async () => {
    const { changes } = record();
    await opened();
    for (const kind of ['alive', 'hello', 'toString']) await only().emits(kind, '');
    expect(changes).toEqual([]);
  });

  test('gives a change whose bytes come in pieces, once', async () => {
    const { changes } = record();
    await opened();
    for (const part of ['event: ev', 'ent\ndata: {"subj', 'ect":"ev1"}\n', '\n']) await only().sends(part);
    expect(changes).toEqual([{ kind: 'event', subject: 'ev1' }]);
  });

  test('that sends a message without an end is given up', async () => {
    record();
    await (await opened()).sends(`data: ${'x'.repeat(2_000_000)}`);
    expect(Source.made[0]?.isOpen).toBe(false);
    vi.advanceTimersByTime(3000);
    await opened();
  });

  test('is made again when somebody signs in or out, because what it shows depends on who asks', async () => {
    vi.stubGlobal('localStorage', { setItem: () => undefined, removeItem: () => undefined });
    record();
    const anonymous = only();
    expect(anonymous.url).toBe('/api/v1/state');
    account.set({ username: 'ann', expiresMs: Date.now() + 60_000 });
    await settled();
    const signedIn = only();
    expect(signedIn).not.toBe(anonymous);
    account.set(null);
    await settled();
    expect(only()).not.toBe(signedIn);
  });
});
