// The one API client of the page, wired to the browser's fetch and the sign-in.

import { account } from './account';
import { createApi } from './api';
import { grantOf } from './grants';

export const api = createApi({
  fetch: (input, init) => fetch(input, init),
  grantOf,
  isSignedIn: account.isSignedIn,
  onRefused: () => {
    account.set(null);
  },
});
