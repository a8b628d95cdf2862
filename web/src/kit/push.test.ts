import { expect, test } from 'vitest';

import { bytesOf, deviceOf, labelOf } from './push';

test('a key is the bytes of its base64url', () => {
  expect([...bytesOf('-_8A')]).toEqual([251, 255, 0]);
  expect(bytesOf('BAAA').length).toBe(3);
});

test.each([
  [
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36',
    'Chrome on Linux',
  ],
  ['Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0', 'Firefox on Android'],
  ['Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0', 'Edge on Windows'],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1', 'Safari on iPhone'],
  ['something else', 'Browser'],
])('%s', (agent, label) => {
  expect(labelOf(agent)).toBe(label);
});

test('a subscription is sent whole or not at all', () => {
  const keys = { p256dh: 'p', auth: 'a' };
  expect(deviceOf({ endpoint: 'https://x', keys }, '')).toEqual({ endpoint: 'https://x', keys, label: 'Browser' });
  expect(deviceOf({ endpoint: 'https://x' }, '')).toBeNull();
  expect(deviceOf({ keys }, '')).toBeNull();
});
