import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { type Change, follow, MISSED, QUIET_MS } from './feed';

/** A page that can be hidden, in the place of the browser's. */
class Page extends EventTarget {
  hidden = false;

  show(shown: boolean): void {
    this.hidden = !shown;
    this.dispatchEvent(new Event('visibilitychange'));
  }
}

/** Connections to the portal, as many as were ever made. */
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

  says(kind: string, subject: string): void {
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

/** Follows until the test is over, and remembers what it was told. */
function hears(whileHidden = false): { told: Change[]; end: () => void } {
  const told: Change[] = [];
  const end = follow((change) => told.push(change), { whileHidden });
  ends.push(end);
  return { told, end };
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
  const [one, other] = [hears(), hears()];
  only().says('event', 'ev1');
  expect(one.told).toEqual([{ kind: 'event', subject: 'ev1' }]);
  expect(other.told).toEqual(one.told);
  one.end();
  only().says('event', 'ev2');
  expect(one.told).toHaveLength(1);
  expect(other.told).toHaveLength(2);
});

describe('in a hidden page', () => {
  test('nobody is told, and everybody is when it is shown again', () => {
    const { told } = hears();
    page.show(false);
    expect(open()).toEqual([]);
    page.show(true);
    only();
    expect(told).toEqual([MISSED]);
  });

  test('who must hear hears, on the same connection, and the others wait', () => {
    const rest = hears();
    const player = hears(true);
    page.show(false);
    only().says('drain', 'pe4');
    expect(player.told).toEqual([{ kind: 'drain', subject: 'pe4' }]);
    expect(rest.told).toEqual([]);
    page.show(true);
    only();
    expect(Source.made).toHaveLength(1);
    expect(rest.told).toEqual([MISSED]);
  });

  test('the connection comes and goes with the need for it', () => {
    hears();
    page.show(false);
    const player = hears(true);
    only().says('drain', 'pe4');
    expect(player.told).toHaveLength(1);
    player.end();
    expect(open()).toEqual([]);
  });

  test('a refused connection is tried again while it is needed', () => {
    const { told } = hears(true);
    page.show(false);
    only().fails(Source.CLOSED);
    expect(open()).toEqual([]);
    vi.advanceTimersByTime(3000);
    only();
    expect(told).toEqual([MISSED]);
  });
});

describe('a connection', () => {
  test('that broke and came back may have missed something', () => {
    const { told } = hears();
    only().opens();
    expect(told).toEqual([]);
    only().fails(0);
    only().opens();
    expect(told).toEqual([MISSED]);
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
        only().says('event', 'ev1');
      },
    ],
  ])('that %s is made anew, though it never fails', (_what, begin) => {
    const { told } = hears();
    begin();
    const first = only();
    vi.advanceTimersByTime(2 * QUIET_MS);
    expect(only()).not.toBe(first);
    expect(told.at(-1)).toEqual(MISSED);
  });

  test.each(['event', 'alive'])('that goes on saying %s is kept', (kind) => {
    hears();
    for (let n = 0; n < 20; n += 1) {
      vi.advanceTimersByTime(QUIET_MS / 2);
      only().says(kind, '');
    }
    expect(Source.made).toHaveLength(1);
  });

  test('that says no more than that it is alive tells nobody', () => {
    const { told } = hears();
    only().opens();
    only().says('alive', '');
    expect(told).toEqual([]);
  });
});
