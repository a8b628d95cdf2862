import { expect, it } from 'vitest';

import { cropOf, shrink } from './picture-card';

it.each([
  [1920, 1080, { x: 0, y: 0, width: 1920, height: 1080 }],
  [1000, 1000, { x: 0, y: 218.75, width: 1000, height: 562.5 }],
  [3200, 900, { x: 800, y: 0, width: 1600, height: 900 }],
])('keeps the middle of %i x %i in the shape of a video', (width, height, kept) => {
  expect(cropOf(width, height)).toEqual(kept);
});

it.each([
  ['image/gif', 'umbel.picture_type'],
  ['image/png', 'umbel.picture_unreadable'],
])('says why %s is not taken', async (type, code) => {
  const file = new File(['no picture'], 'picture', { type });
  await expect(shrink(file)).rejects.toMatchObject({ status: 0, code });
});
