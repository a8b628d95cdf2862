// The one API client of the page, wired to the browser's fetch and the sign-in.

import { account } from './account';
import { createApi } from './api';

export const api = createApi({
  fetch: (input, init) => fetch(input, init),
  isSignedIn: account.isSignedIn,
  onRefused: () => {
    account.set(null);
  },
});
