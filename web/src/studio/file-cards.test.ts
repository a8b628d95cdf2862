import { expect, test } from 'vitest';

import type { ProviderFile } from '../kit/types';
import { factsOf } from './file-cards';

const FILE: ProviderFile = {
  id: 'file_1',
  provider_id: 'pr_1',
  name: 'Council.mp4',
  size: 12_000_000,
  received: 12_000_000,
  state: 'ready',
  problem: '',
  container: 'mp4',
  duration_s: 120.4,
  video: 'H.264',
  audio: 'AAC',
  width: 1280,
  height: 720,
  fps: 25,
  created_at: '2027-01-15T08:00:00.000Z',
};

test('a file says what is in it', () => {
  expect(factsOf(FILE)).toEqual(['2:00', '12 MB', 'H.264', 'AAC', '1280 × 720']);
});

test('of a file that cannot be read only the size is known', () => {
  const unread = { ...FILE, state: 'refused', duration_s: 0, video: '', audio: '', width: 0, height: 0 };
  expect(factsOf(unread)).toEqual(['12 MB']);
});
