// The signed-in user: kept in this browser until the token expires, and shared by its tabs. Pages call
// `account.get()` and subscribe.

export interface SignIn {
  token: string;
  username: string;
  expiresMs: number;
}

const KEY = 'umbel.sign-in';
const listeners = new Set<() => void>();
let current: SignIn | null = null;

/** Parses the stored sign-in; null when it is malformed or has expired. */
export function parseSignIn(text: string | null, nowMs: number): SignIn | null {
  if (text === null) return null;
  try {
    const { token, username, expiresMs } = JSON.parse(text) as Partial<SignIn>;
    if (typeof token !== 'string' || typeof username !== 'string' || typeof expiresMs !== 'number') return null;
    return expiresMs > nowMs ? { token, username, expiresMs } : null;
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
    current = parseSignIn(localStorage.getItem(KEY), Date.now());
    window.addEventListener('storage', (event) => {
      if (event.key === KEY || event.key === null) publish(parseSignIn(event.newValue, Date.now()));
    });
  },
  get(): SignIn | null {
    return current;
  },
  token(): string | null {
    return current !== null && current.expiresMs > Date.now() ? current.token : null;
  },
  set(next: SignIn | null): void {
    if (next === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, JSON.stringify(next));
    publish(next);
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};
