// Who is signed in, as far as the page knows. The sign-in itself is a cookie that scripts cannot read; what is kept
// here is a name and a time, shared by the browser's tabs. Pages call `account.get()` and subscribe.

import { stored } from './storage';

export interface SignIn {
  username: string;
  expiresMs: number;
}

const KEY = 'umbel.signed-in';
/** Where older versions kept a token. */
const RETIRED_KEY = 'umbel.sign-in';
const listeners = new Set<() => void>();
let current: SignIn | null = null;

/** Parses the stored sign-in; null when it is malformed or has expired. */
export function parseSignIn(text: string | null, nowMs: number): SignIn | null {
  if (text === null) return null;
  try {
    const { username, expiresMs } = JSON.parse(text) as Partial<SignIn>;
    if (typeof username !== 'string' || typeof expiresMs !== 'number') return null;
    return expiresMs > nowMs ? { username, expiresMs } : null;
  } catch {
    return null;
  }
}

function publish(next: SignIn | null): void {
  current = next;
  for (const listener of [...listeners]) listener();
}

export const account = {
  load(): void {
    stored.remove(RETIRED_KEY);
    current = parseSignIn(stored.get(KEY), Date.now());
    window.addEventListener('storage', (event) => {
      if (event.key === KEY || event.key === null) publish(parseSignIn(event.newValue, Date.now()));
    });
  },
  get(): SignIn | null {
    return current;
  },
  isSignedIn(): boolean {
    return current !== null && current.expiresMs > Date.now();
  },
  set(next: SignIn | null): void {
    if (next === null) stored.remove(KEY);
    else stored.set(KEY, JSON.stringify(next));
    publish(next);
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};
