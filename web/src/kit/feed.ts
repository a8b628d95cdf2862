// What changes at the portal, as it changes: one EventSource for the whole page (browsers allow few
// connections to a host), open only while someone listens and the page is seen.

import { account } from './account';

export interface Change {
  kind: string;
  subject: string;
}

type Listener = (change: Change) => void;

/** Sent to every listener when changes may have been missed: read the state anew. */
export const MISSED: Change = { kind: 'reset', subject: '' };

const URL = '/api/v1/state';
const KINDS = [
  'event', 'session', 'tree', 'function', 'provider', 'node', 'link', 'stream', 'ingest', 'user', 'reset', 'message',
  'drain',
];
const REOPEN_MS = 3000;

const listeners = new Set<Listener>();
let source: EventSource | null = null;
let reopen: ReturnType<typeof setTimeout> | undefined;

export function readChange(kind: string, data: string): Change {
  try {
    const body = JSON.parse(data) as { kind?: unknown; subject?: unknown };
    return {
      kind: typeof body.kind === 'string' ? body.kind : kind,
      subject: typeof body.subject === 'string' ? body.subject : '',
    };
  } catch {
    return { kind, subject: '' };
  }
}

function tell(change: Change): void {
  for (const listener of [...listeners]) listener(change);
}

function close(): void {
  clearTimeout(reopen);
  source?.close();
  source = null;
}

function open(): void {
  if (source !== null || listeners.size === 0 || document.hidden) return;
  const token = account.token();
  // A browser's EventSource cannot send a header.
  const opened = new EventSource(token === null ? URL : `${URL}?access_token=${token}`);
  let lost = false;
  source = opened;
  for (const kind of KINDS) {
    opened.addEventListener(kind, (message) => {
      tell(readChange(kind, String((message as MessageEvent).data)));
    });
  }
  opened.onopen = () => {
    if (lost) tell(MISSED);
    lost = false;
  };
  opened.onerror = () => {
    lost = true;
    // The browser retries a broken connection by itself, but not a refused one.
    if (opened.readyState !== EventSource.CLOSED || source !== opened) return;
    close();
    reopen = setTimeout(() => {
      open();
      tell(MISSED);
    }, REOPEN_MS);
  };
}

function onVisibility(): void {
  if (document.hidden) {
    close();
  } else if (listeners.size > 0) {
    open();
    tell(MISSED);
  }
}

// Who signed in is told more.
account.subscribe(() => {
  if (source === null) return;
  close();
  open();
  tell(MISSED);
});

/** Calls back on every change until the returned function is called. */
export function follow(listener: Listener): () => void {
  if (listeners.size === 0) document.addEventListener('visibilitychange', onVisibility);
  listeners.add(listener);
  open();
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    document.removeEventListener('visibilitychange', onVisibility);
    close();
  };
}
