import { expect, test } from 'vitest';

import { withToken } from './hls';

test('the token is added to the query, escaped', () => {
  const session = { id: 's', quality: 'source', edge: 'pe4', whep: '', token: 'a+b/c=', expires_at: '' };
  const of = (hls: string): string => withToken({ ...session, hls });
  expect(of('http://127.0.4.1:9/hls/ev/index.m3u8')).toBe('http://127.0.4.1:9/hls/ev/index.m3u8?token=a%2Bb%2Fc%3D');
  expect(new URL(of('http://127.0.4.1:9/i.m3u8?x=1&token=old')).search).toBe('?x=1&token=a%2Bb%2Fc%3D');
});
