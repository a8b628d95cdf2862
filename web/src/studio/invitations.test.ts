import { expect, it } from 'vitest';

import { namesIn } from './invitations';

it('reads names however they are separated, each once', () => {
  expect(namesIn(' Ann, bob\ncarl;ann  ')).toEqual(['ann', 'bob', 'carl']);
  expect(namesIn(' ,\n')).toEqual([]);
});
