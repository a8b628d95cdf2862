import { expect, it } from 'vitest';

import { ApiError } from '../kit/api';
import type { LiveEvent } from '../kit/types';
import { currentOf, differences } from './conflict';
import { draftOf } from './draft';

const EVENT = {
  title: 'Derby',
  description: '',
  starts_at: '2030-06-10T18:00:00Z',
  ends_at: '2030-06-10T20:00:00Z',
  time_zone: 'UTC',
  vp8: false,
  visibility: 'public',
} as LiveEvent;

it('shows both versions of what differs', () => {
  const draft = { ...draftOf(EVENT), title: 'Final', ends: '2030-06-10T21:00' };
  expect(differences(draft, { ...EVENT, description: 'Home' })).toEqual([
    { name: 'Title', saved: 'Derby', typed: 'Final' },
    { name: 'Description', saved: 'Home', typed: '(empty)' },
    { name: 'End', saved: '2030-06-10T20:00', typed: '2030-06-10T21:00' },
  ]);
  expect(differences(draftOf(EVENT), EVENT)).toEqual([]);
});

it('knows a refusal to overwrite from others', () => {
  const error = (status: number, code: string) => new ApiError(status, code, '', { current: EVENT });
  expect(currentOf(error(409, 'umbel.version_mismatch'))).toBe(EVENT);
  expect(currentOf(error(412, 'umbel.event_changed'))).toBe(EVENT);
  expect(currentOf(error(409, 'umbel.event_over'))).toBeNull();
  expect(currentOf(new ApiError(409, 'umbel.version_mismatch', ''))).toBeNull();
  expect(currentOf(null)).toBeNull();
});
