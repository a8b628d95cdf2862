// Changes at the portal, as they happen. One EventSource for the whole page, because browsers allow few
// connections to a host. It is open only while a listener needs it; in a hidden page few listeners do.

import { account } from './account';
import type { ChangeKind, Change as Shape } from './types';

export type Change = Pick<Shape, 'kind' | 'subject'>;

type Listener = (change: Change) => void;

export interface FollowOptions {
  /** Notify the listener in a hidden page too, and keep the connection open for it. */
  whileHidden?: boolean;
}

interface Follower {
  listener: Listener;
  whileHidden: boolean;
}

/** Sent to every listener when changes may have been missed: read the state again. */
export const MISSED: Change = { kind: 'reset', subject: '' };

const URL = '/api/v1/state';
/** The names of the events to listen to. The compiler checks that none is missing. */
const KINDS: Readonly<Record<Exclude<ChangeKind, 'hello'>, true>> = {
  border: true,
  drain: true,
  drawing: true,
  event: true,
  function_appeared: true,
  function_left: true,
  link_down: true,
  link_up: true,
  node: true,
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
 * A connection that is silent this long is replaced. A connection whose other end vanished never fails,
 * nor does one that waits for a free connection of the browser. The portal sends `alive` every 15 seconds.
 */
export const SILENCE_MS = 45_000;
const SILENCE_SPREAD_MS = 15_000;

const followers = new Set<Follower>();
let source: EventSource | null = null;
let reopen: ReturnType<typeof setTimeout> | undefined;
let silence: ReturnType<typeof setTimeout> | undefined;

export function readChange(kind: ChangeKind, data: string): Change {
  try {
    const { subject } = JSON.parse(data) as { subject?: unknown };
    return { kind, subject: typeof subject === 'string' ? subject : '' };
  } catch {
    return { kind, subject: '' };
  }
}

/** The listeners to notify now. In a hidden page the others are notified when it is shown again. */
const activeFollowers = (): Follower[] => [...followers].filter((one) => one.whileHidden || !document.hidden);

function notify(change: Change): void {
  for (const { listener } of activeFollowers()) listener(change);
}

function close(): void {
  clearTimeout(reopen);
  clearTimeout(silence);
  source?.close();
  source = null;
}

function reconnect(): void {
  close();
  open();
  notify(MISSED);
}

/** A message came: restart the timer of silence. */
function markAlive(): void {
  clearTimeout(silence);
  silence = setTimeout(reconnect, SILENCE_MS + Math.random() * SILENCE_SPREAD_MS);
}

function open(): void {
  if (source !== null || activeFollowers().length === 0) return;
  const token = account.token();
  // A browser's EventSource cannot send a header.
  const opened = new EventSource(token === null ? URL : `${URL}?access_token=${token}`);
  let lost = false;
  clearTimeout(reopen);
  source = opened;
  markAlive();
  for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
    opened.addEventListener(kind, (message) => {
      markAlive();
      notify(readChange(kind, String((message as MessageEvent).data)));
    });
  }
  // The portal sends this when nothing changes.
  opened.addEventListener('alive', markAlive);
  opened.onopen = () => {
    markAlive();
    if (lost) notify(MISSED);
    lost = false;
  };
  opened.onerror = () => {
    lost = true;
    // The browser retries a broken connection by itself, but not a refused one.
    if (opened.readyState !== EventSource.CLOSED || source !== opened) return;
    close();
    reopen = setTimeout(reconnect, REOPEN_MS);
  };
}

/** Keeps the connection open while there are listeners. */
function openOrClose(): void {
  if (activeFollowers().length > 0) open();
  else close();
}

function onVisibility(): void {
  openOrClose();
  if (!document.hidden) notify(MISSED);
}

// A signed-in user gets more changes.
account.subscribe(() => {
  if (source !== null) reconnect();
});

/** Calls back on every change until the returned function is called. */
export function follow(listener: Listener, { whileHidden = false }: FollowOptions = {}): () => void {
  const follower: Follower = { listener, whileHidden };
  if (followers.size === 0) document.addEventListener('visibilitychange', onVisibility);
  followers.add(follower);
  openOrClose();
  return () => {
    followers.delete(follower);
    openOrClose();
    if (followers.size === 0) document.removeEventListener('visibilitychange', onVisibility);
  };
}
