import { expect, test } from 'vitest';

import { catchUpRate, withToken } from './hls';

test('the token is added to the query, escaped', () => {
  const place = { id: 's', quality: 'source', edge: 'pe4', whep: '', hls_subtitled: null };
  const session = { ...place, token: 'a+b/c=', expires_at: '' };
  const of = (hls: string): string => withToken({ ...session, hls });
  expect(of('http://127.0.4.1:9/hls/ev/index.m3u8')).toBe('http://127.0.4.1:9/hls/ev/index.m3u8?token=a%2Bb%2Fc%3D');
  expect(new URL(of('http://127.0.4.1:9/i.m3u8?x=1&token=old')).search).toBe('?x=1&token=a%2Bb%2Fc%3D');
});

test.each([
  ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15', 1],
  ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36', 1.2],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0', 1.2],
])('the rate is left alone in WebKit only: %s', (userAgent, rate) => {
  expect(catchUpRate(userAgent)).toBe(rate);
});
