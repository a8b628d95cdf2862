// What changes at the portal, as it changes: one EventSource for the whole page (browsers allow few
// connections to a host), open only while someone listens who needs it: in a hidden page, whoever said so.

import { account } from './account';
import type { ChangeKind, Change as Shape } from './types';

export type Change = Pick<Shape, 'kind' | 'subject'>;

type Listener = (change: Change) => void;

export interface Terms {
  /** Is told in a hidden page too, and keeps the connection open for it. */
  whileHidden?: boolean;
}

interface Follower {
  listener: Listener;
  whileHidden: boolean;
}

/** Sent to every listener when changes may have been missed: read the state anew. */
export const MISSED: Change = { kind: 'reset', subject: '' };

const URL = '/api/v1/state';
/** The names of the events that are about something; the compiler sees to it that none is missing. */
const KINDS: Readonly<Record<Exclude<ChangeKind, 'hello'>, true>> = {
  border: true,
  drain: true,
  drawing: true,
  event: true,
  function_appeared: true,
  function_left: true,
  link_down: true,
  link_up: true,
  path: true,
  path_changed: true,
  plan: true,
  port_added: true,
  port_removed: true,
  provider: true,
  reset: true,
  session: true,
  slice: true,
  switch_down: true,
  switch_up: true,
  tree: true,
  user: true,
};
const REOPEN_MS = 3000;
/**
 * A connection that says nothing for so long is taken for dead and made anew. One whose other end went
 * away without a word fails never, nor does one that waits for a free connection of the browser. The
 * portal says `alive` every 15 seconds.
 */
export const QUIET_MS = 45_000;
const QUIET_SPREAD_MS = 15_000;

const followers = new Set<Follower>();
let source: EventSource | null = null;
let reopen: ReturnType<typeof setTimeout> | undefined;
let quiet: ReturnType<typeof setTimeout> | undefined;

export function readChange(kind: ChangeKind, data: string): Change {
  try {
    const { subject } = JSON.parse(data) as { subject?: unknown };
    return { kind, subject: typeof subject === 'string' ? subject : '' };
  } catch {
    return { kind, subject: '' };
  }
}

/** Who is told now. The others of a hidden page hear that they missed something when it is shown. */
const present = (): Follower[] => [...followers].filter((one) => one.whileHidden || !document.hidden);

function tell(change: Change): void {
  for (const { listener } of present()) listener(change);
}

function close(): void {
  clearTimeout(reopen);
  clearTimeout(quiet);
  source?.close();
  source = null;
}

function renew(): void {
  close();
  open();
  tell(MISSED);
}

/** Something was heard: the connection is alive. */
function heard(): void {
  clearTimeout(quiet);
  quiet = setTimeout(renew, QUIET_MS + Math.random() * QUIET_SPREAD_MS);
}

function open(): void {
  if (source !== null || present().length === 0) return;
  const token = account.token();
  // A browser's EventSource cannot send a header.
  const opened = new EventSource(token === null ? URL : `${URL}?access_token=${token}`);
  let lost = false;
  clearTimeout(reopen);
  source = opened;
  heard();
  for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
    opened.addEventListener(kind, (message) => {
      heard();
      tell(readChange(kind, String((message as MessageEvent).data)));
    });
  }
  // What the portal says when it has nothing to tell.
  opened.addEventListener('alive', heard);
  opened.onopen = () => {
    heard();
    if (lost) tell(MISSED);
    lost = false;
  };
  opened.onerror = () => {
    lost = true;
    // The browser retries a broken connection by itself, but not a refused one.
    if (opened.readyState !== EventSource.CLOSED || source !== opened) return;
    close();
    reopen = setTimeout(renew, REOPEN_MS);
  };
}

/** Open while there is someone to tell. */
function settle(): void {
  if (present().length > 0) open();
  else close();
}

function onVisibility(): void {
  settle();
  if (!document.hidden) tell(MISSED);
}

// Who signed in is told more.
account.subscribe(() => {
  if (source !== null) renew();
});

/** Calls back on every change until the returned function is called. */
export function follow(listener: Listener, { whileHidden = false }: Terms = {}): () => void {
  const follower: Follower = { listener, whileHidden };
  if (followers.size === 0) document.addEventListener('visibilitychange', onVisibility);
  followers.add(follower);
  settle();
  return () => {
    followers.delete(follower);
    settle();
    if (followers.size === 0) document.removeEventListener('visibilitychange', onVisibility);
  };
}
