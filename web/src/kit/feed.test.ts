import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { type Change, follow, MISSED, SILENCE_MS } from './feed';

/** A page that can be hidden, in the place of the browser's. */
class Page extends EventTarget {
  hidden = false;

  show(shown: boolean): void {
    this.hidden = !shown;
    this.dispatchEvent(new Event('visibilitychange'));
  }
}

/** A connection to the portal; `made` holds all of them. */
class Source extends EventTarget {
  static readonly CLOSED = 2;
  static made: Source[] = [];
  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;

  constructor() {
    super();
    Source.made.push(this);
  }

  close(): void {
    this.readyState = Source.CLOSED;
  }

  opens(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  emits(kind: string, subject: string): void {
    this.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify({ kind, subject }) }));
  }

  fails(readyState: number): void {
    this.readyState = readyState;
    this.onerror?.();
  }
}

const open = (): Source[] => Source.made.filter((one) => one.readyState !== Source.CLOSED);
const only = (): Source => {
  expect(open()).toHaveLength(1);
  return open()[0] as Source;
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
  vi.useFakeTimers();
  page = new Page();
  Source.made = [];
  ends = [];
  vi.stubGlobal('document', page);
  vi.stubGlobal('EventSource', Source);
});

afterEach(() => {
  for (const end of ends) end();
  expect(open()).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test('all listeners share one connection, which ends with the last', () => {
  const [one, other] = [record(), record()];
  only().emits('event', 'ev1');
  expect(one.changes).toEqual([{ kind: 'event', subject: 'ev1' }]);
  expect(other.changes).toEqual(one.changes);
  one.end();
  only().emits('event', 'ev2');
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

  test('a listener with whileHidden is notified on the same connection, and the others wait', () => {
    const rest = record();
    const player = record(true);
    page.show(false);
    only().emits('drain', 'pe4');
    expect(player.changes).toEqual([{ kind: 'drain', subject: 'pe4' }]);
    expect(rest.changes).toEqual([]);
    page.show(true);
    only();
    expect(Source.made).toHaveLength(1);
    expect(rest.changes).toEqual([MISSED]);
  });

  test('the connection is open only while it is needed', () => {
    record();
    page.show(false);
    const player = record(true);
    only().emits('drain', 'pe4');
    expect(player.changes).toHaveLength(1);
    player.end();
    expect(open()).toEqual([]);
  });

  test('a refused connection is tried again while it is needed', () => {
    const { changes } = record(true);
    page.show(false);
    only().fails(Source.CLOSED);
    expect(open()).toEqual([]);
    vi.advanceTimersByTime(3000);
    only();
    expect(changes).toEqual([MISSED]);
  });
});

describe('a connection', () => {
  test('that broke and came back may have missed changes', () => {
    const { changes } = record();
    only().opens();
    expect(changes).toEqual([]);
    only().fails(0);
    only().opens();
    expect(changes).toEqual([MISSED]);
  });

  test.each([
    ['never opens', (): void => undefined],
    [
      'opened and fell silent',
      (): void => {
        only().opens();
      },
    ],
    [
      'spoke and fell silent',
      (): void => {
        only().opens();
        only().emits('event', 'ev1');
      },
    ],
  ])('that %s is replaced, although it never fails', (_what, begin) => {
    const { changes } = record();
    begin();
    const first = only();
    vi.advanceTimersByTime(2 * SILENCE_MS);
    expect(only()).not.toBe(first);
    expect(changes.at(-1)).toEqual(MISSED);
  });

  test.each(['event', 'alive'])('that keeps sending %s is kept', (kind) => {
    record();
    for (let n = 0; n < 20; n += 1) {
      vi.advanceTimersByTime(SILENCE_MS / 2);
      only().emits(kind, '');
    }
    expect(Source.made).toHaveLength(1);
  });

  test('that sends only alive notifies no listener', () => {
    const { changes } = record();
    only().opens();
    only().emits('alive', '');
    expect(changes).toEqual([]);
  });
});
