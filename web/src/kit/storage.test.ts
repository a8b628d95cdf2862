import { expect, test } from 'vitest';

import { guarded } from './storage';

test('a storage that the browser refuses keeps nothing and breaks nothing', () => {
  const kept = guarded(() => {
    throw new DOMException('refused', 'SecurityError');
  });
  kept.set('a', '1');
  expect(kept.get('a')).toBeNull();
  kept.remove('a');
});

test('a storage that is there keeps', () => {
  const values = new Map<string, string>();
  const storage = {
    getItem: (key: string) => values.get(key) ?? null,
    setItem: (key: string, value: string) => values.set(key, value),
    removeItem: (key: string) => values.delete(key),
  } as unknown as Storage;
  const kept = guarded(() => storage);
  kept.set('a', '1');
  expect(kept.get('a')).toBe('1');
  kept.remove('a');
  expect(kept.get('a')).toBeNull();
});
