import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { parseSignIn } from './account';
import { readChange } from './feed';
import * as format from './format';
import { matchRoute, to } from './routes';
import { throttle } from './throttle';

describe('days and times', () => {
  const now = Date.parse('2030-06-10T20:00:00Z');
  const at = (starts_at: string): { starts_at: string } => ({ starts_at });

  test('days are those of the viewer’s zone', () => {
    const items = [at('2030-06-11T03:30:00Z'), at('2030-06-10T21:00:00Z'), at('2030-06-14T12:00:00Z')];
    const labels = (zone: string): string[] => format.groupByDay(items, now, 'en-GB', zone).map((day) => day.label);
    expect(labels('UTC')).toEqual(['Today', 'Tomorrow', 'Friday 14 June']);
    expect(labels('America/New_York')).toEqual(['Today', 'Friday 14 June']);
    expect(labels('Asia/Tokyo')).toEqual(['Today', 'Friday 14 June']);
  });

  test.each([
    ['forward', '2027-03-27T22:30:00Z', ['2027-03-28T10', '2027-03-29T10'], ['Tomorrow', 'Monday 29 March']],
    ['back', '2027-10-30T22:30:00Z', ['2027-10-31T22', '2027-11-01T10'], ['Today', 'Tomorrow']],
  ])('tomorrow is the next day when the clocks go %s', (_, moment, hours, labels) => {
    const items = hours.map((hour) => at(`${hour}:00:00Z`));
    const days = format.groupByDay(items, Date.parse(moment), 'en-GB', 'Europe/Rome');
    expect(days.map((day) => day.label)).toEqual(labels);
  });

  test('earliest first, within and between days', () => {
    const items = [at('2030-06-12T10:00:00Z'), at('2030-06-11T12:00:00Z'), at('2030-06-11T09:00:00Z')];
    const days = format.groupByDay(items, now, 'en-GB', 'UTC');
    expect(days.map((day) => day.items.map((item) => item.starts_at.slice(8, 13)))).toEqual([
      ['11T09', '11T12'],
      ['12T10'],
    ]);
  });

  test.each([
    ['2030-06-10T20:00:20Z', 'now'],
    ['2030-06-10T20:05:00Z', 'in 5 min'],
    ['2030-06-10T23:00:00Z', 'in 3 h'],
    ['2030-06-13T20:00:00Z', 'in 3 days'],
    ['2030-06-10T19:48:00Z', '12 min ago'],
  ])('%s is %s', (iso, text) => {
    expect(format.formatDistance(iso, now)).toBe(text);
  });

  test('a range shows its day once', () => {
    const span = format.formatSpan('2030-06-10T20:00:00Z', '2030-06-10T21:30:00Z', 'en-GB', 'UTC');
    expect(span.match(/Jun/g)).toHaveLength(1);
    expect(span).toContain('20:00');
    expect(span).toContain('21:30');
  });

  test('a local input goes there and back', () => {
    const ms = Date.parse('2030-01-02T03:04:00Z');
    expect(format.fromLocalInput(format.toLocalInput(ms))).toBe('2030-01-02T03:04:00.000Z');
    expect(format.fromLocalInput('')).toBeNull();
    expect(format.fromLocalInput('yesterday')).toBeNull();
  });
});

describe('numbers', () => {
  test.each([
    [0, '0 kbit/s'],
    [0.064, '64 kbit/s'],
    [2.04, '2.0 Mbit/s'],
    [48.6, '49 Mbit/s'],
    [1500, '1.5 Gbit/s'],
  ])('%s Mbit/s is %s', (mbps, text) => {
    expect(format.formatMbps(mbps)).toBe(text);
  });

  test('the rest', () => {
    expect([29, 30, 3599, 3600, 3900].map(format.formatSpent)).toEqual([
      'less than a minute',
      '1 min',
      '1 h',
      '1 h',
      '1 h 5 min',
    ]);
    expect(format.formatViewers(1)).toBe('1 viewer');
    expect(format.formatViewers(1234)).toBe('1,234 viewers');
    expect(format.formatLatency(0.0834)).toBe('83 ms');
    expect(format.formatLatency(2.44)).toBe('2.4 s');
    expect(format.formatShare(1, 4)).toBe('25 %');
    expect(format.formatShare(1, 0)).toBe('–');
    expect([0, 9_949, 12_300_000, 999_400, 1e12].map(format.formatBytes)).toEqual([
      '0 kB',
      '9.9 kB',
      '12 MB',
      '999 kB',
      '1.0 TB',
    ]);
    expect([0, 7.4, 61, 3723].map(format.formatLength)).toEqual(['0:00', '0:07', '1:01', '1:02:03']);
    expect([6, 246.4, 47_000].map(format.formatWatts)).toEqual(['6.0 W', '246 W', '47.0 kW']);
  });
});

describe('routes', () => {
  test.each([
    ['/', { page: 'discover' }],
    ['/watch/ev1', { page: 'watch', eventId: 'ev1' }],
    ['/watch/a%2Fb/', { page: 'watch', eventId: 'a/b' }],
    ['/watch', { page: 'missing' }],
    ['/watch/%E0%A4%A', { page: 'missing' }],
    ['/studio', { page: 'studio' }],
    ['/studio/events/ev1', { page: 'studio-event', eventId: 'ev1' }],
    ['/studio/events', { page: 'missing' }],
    ['/network', { page: 'network' }],
    ['/account', { page: 'account' }],
    ['/sign-up/', { page: 'sign-up' }],
    ['/verify-email', { page: 'verify-email' }],
    ['/calendar', { page: 'calendar' }],
    ['/account/x', { page: 'missing' }],
    ['/network/x', { page: 'missing' }],
    ['/a/b/c/d', { page: 'missing' }],
  ])('%s', (path, route) => {
    expect(matchRoute(path)).toEqual(route);
  });

  test('addresses lead back to their page', () => {
    expect(matchRoute(to.watch('a/ü b'))).toEqual({ page: 'watch', eventId: 'a/ü b' });
    expect(matchRoute(to.embed('a/b'))).toEqual({ page: 'embed', eventId: 'a/b' });
    expect(matchRoute(to.provider('a/b'))).toEqual({ page: 'provider', providerId: 'a/b' });
    expect(matchRoute(to.studioEvent('x'))).toEqual({ page: 'studio-event', eventId: 'x' });
  });
});

describe('a stored sign-in', () => {
  const good = JSON.stringify({ username: 'ada', expiresMs: 100 });
  test.each([null, '', 'nonsense', 'null', '7', '{}', JSON.stringify({ username: 1, expiresMs: 100 })])(
    '%s is no sign-in',
    (text) => {
      expect(parseSignIn(text, 0)).toBeNull();
    },
  );
  test('holds until it expires', () => {
    expect(parseSignIn(good, 99)).toMatchObject({ username: 'ada' });
    expect(parseSignIn(good, 100)).toBeNull();
  });
});

describe('changes', () => {
  test('are read, and survive nonsense', () => {
    expect(readChange('event', '{"kind":"event","subject":"ev1","at":"x"}')).toEqual({ kind: 'event', subject: 'ev1' });
    for (const data of ['', '{', '[]', '{"subject":7}']) {
      expect(readChange('tree', data)).toEqual({ kind: 'tree', subject: '' });
    }
  });
});

describe('throttle', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('runs at once, then once per interval, then rests', () => {
    let runs = 0;
    const call = throttle(() => {
      runs += 1;
    }, 1000);
    for (let n = 0; n < 10; n += 1) call();
    expect(runs).toBe(1);
    vi.advanceTimersByTime(1000);
    expect(runs).toBe(2);
    vi.advanceTimersByTime(10_000);
    expect(runs).toBe(2);
    call();
    expect(runs).toBe(3);
  });

  test('cancelled, it forgets what was waiting', () => {
    let runs = 0;
    const call = throttle(() => {
      runs += 1;
    }, 1000);
    call();
    call();
    call.cancel();
    vi.advanceTimersByTime(5000);
    expect(runs).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
