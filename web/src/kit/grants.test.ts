import { describe, expect, it } from 'vitest';

import { parseGrant } from './grants';
import { requestOf } from './rest';

const NOW_MS = Date.parse('2030-01-01T12:00:00Z');
const stored = (expires_at: string): string => JSON.stringify({ token: 'a.b.c', expires_at });

describe('a grant', () => {
  it('is good until it ends', () => {
    expect(parseGrant(stored('2030-01-01T12:00:01Z'), NOW_MS)).toBe('a.b.c');
    expect(parseGrant(stored('2030-01-01T12:00:00Z'), NOW_MS)).toBeNull();
  });

  it.each([null, '', '{', '[]', '{"token":1}', stored('soon')])('is none when it is %s', (text) => {
    expect(parseGrant(text, NOW_MS)).toBeNull();
  });

  it('goes with the request that has one', () => {
    expect(requestOf('get', { grant: 'a.b.c' }).headers).toMatchObject({ 'X-Event-Grant': 'a.b.c' });
    expect(requestOf('get', { grant: null }).headers).not.toHaveProperty('X-Event-Grant');
  });
});
