import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { ApiError } from './api';
import { Source } from './feed-stand-in';
import { keepReading, type Reading, type Result } from './reading';

const POLL_MS = 10_000;

const openSources = (): Source[] => Source.made.filter((one) => one.isOpen);

async function change(kind: string): Promise<void> {
  for (const one of openSources()) {
    await one.opens();
    await one.emits(kind, '');
  }
}

const refused = (status: number): ApiError => new ApiError(status, 'umbel.refused', 'no');

/** Reads what `answers` gives; a missing one is a success. The first answer comes after `first`. */
function start(answers: (ApiError | string)[], first: Promise<void> = Promise.resolve()) {
  const results: Result<string>[] = [];
  const counted = { reads: 0 };
  const reading: Reading = keepReading({
    load: async () => {
      counted.reads += 1;
      const next = answers.shift() ?? 'data';
      if (counted.reads === 1) await first;
      if (next instanceof ApiError) throw next;
      return next;
    },
    concerns: (kind) => kind === 'tree',
    pollMs: POLL_MS,
    show: (result) => results.push(result),
  });
  ends.push(reading.stop);
  return { reading, results, counted };
}

let ends: (() => void)[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] });
  Source.made = [];
  ends = [];
  const page = Object.assign(new EventTarget(), { hidden: false });
  vi.stubGlobal('document', page);
  vi.stubGlobal('fetch', Source.fetch);
});

afterEach(() => {
  for (const end of ends) end();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('reading', () => {
  test('now, after a change that concerns it, and regularly', async () => {
    const { counted, results } = start([]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(counted.reads).toBe(1);
    await change('node');
    await vi.advanceTimersByTimeAsync(2000);
    expect(counted.reads).toBe(1);
    await change('tree');
    await vi.advanceTimersByTimeAsync(2000);
    expect(counted.reads).toBe(2);
    await vi.advanceTimersByTimeAsync(POLL_MS);
    expect(counted.reads).toBe(3);
    expect(results).toEqual([{ data: 'data' }, { data: 'data' }, { data: 'data' }]);
  });

  test.each([401, 403])('a refusal (%i) ends the polls and the connection', async (status) => {
    const { counted, results } = start([refused(status)]);
    await vi.advanceTimersByTimeAsync(0);
    expect(results).toHaveLength(1);
    expect(openSources().length).toBe(0);
    await vi.advanceTimersByTimeAsync(20 * POLL_MS);
    expect(counted.reads).toBe(1);
  });

  test('a change during the refused request does not ask once more', async () => {
    let answer = (): void => undefined;
    const first = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const { counted } = start([refused(403)], first);
    await change('tree');
    await change('tree');
    answer();
    await vi.advanceTimersByTimeAsync(20 * POLL_MS);
    expect(counted.reads).toBe(1);
  });

  test('another failure is tried again', async () => {
    const { counted, results } = start([refused(500), refused(0)]);
    await vi.advanceTimersByTimeAsync(2 * POLL_MS + 2000);
    expect(counted.reads).toBe(3);
    expect(results[2]).toEqual({ data: 'data' });
  });

  test('who asks again after a refusal, and is not refused, gets changes again', async () => {
    const { reading, counted } = start([refused(403)]);
    await vi.advanceTimersByTimeAsync(2000);
    reading.refresh();
    await vi.advanceTimersByTimeAsync(2000);
    expect([counted.reads, openSources().length]).toEqual([2, 1]);
    await change('tree');
    await vi.advanceTimersByTimeAsync(2000);
    expect(counted.reads).toBe(3);
  });

  test('stopped, it shows nothing more and closes the connection', async () => {
    const { reading, counted, results } = start([]);
    reading.stop();
    await vi.advanceTimersByTimeAsync(3 * POLL_MS);
    expect([counted.reads, results.length, openSources().length]).toEqual([1, 0, 0]);
  });
});
