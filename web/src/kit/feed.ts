// Changes at the portal, as they happen. One stream of server-sent events for the whole page, because browsers
// allow few connections to a host. It is open only while a listener needs it; in a hidden page few listeners do.
// It is read with `fetch`: an EventSource reports no status, and reconnects as it likes.

import { createParser } from 'eventsource-parser';

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
/** The names of the events that are changes. The compiler checks that none is missing. */
const KINDS: Readonly<Record<Exclude<ChangeKind, 'hello'>, true>> = {
  border: true,
  drain: true,
  drawing: true,
  event: true,
  function_appeared: true,
  function_left: true,
  link_down: true,
  link_up: true,
  migration: true,
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
/** A message of the portal is far smaller; more without an end is not the portal. */
const LONGEST_MESSAGE = 1_000_000;
/**
 * A connection that is silent this long is replaced. A connection whose other end vanished never fails,
 * nor does one that waits for a free connection of the browser. The portal sends `alive` every 15 seconds.
 */
export const SILENCE_MS = 45_000;
const SILENCE_SPREAD_MS = 15_000;

const followers = new Set<Follower>();
let source: AbortController | null = null;
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
  source?.abort();
  source = null;
}

function reconnect(): void {
  close();
  open({ mayHaveMissed: true });
}

/** A message came: restart the timer of silence. */
function markAlive(): void {
  clearTimeout(silence);
  silence = setTimeout(reconnect, SILENCE_MS + Math.random() * SILENCE_SPREAD_MS);
}

const isChange = (kind: string): kind is keyof typeof KINDS => Object.hasOwn(KINDS, kind);

/** Reads the stream until it ends. Rejects when the portal cannot be reached or the connection breaks. */
async function read(signal: AbortSignal, onOpen: () => void): Promise<void> {
  const response = await fetch(URL, { signal, cache: 'no-store' });
  if (!response.ok || response.body === null) return;
  onOpen();
  const parser = createParser({
    maxBufferSize: LONGEST_MESSAGE,
    onEvent: ({ event = '', data }) => {
      if (signal.aborted) return;
      // The portal sends `alive` when nothing changes.
      markAlive();
      if (isChange(event)) notify(readChange(event, data));
    },
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') throw error;
    },
  });
  const text = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await text.read(); !part.done; part = await text.read()) parser.feed(part.value);
}

function open({ mayHaveMissed = false } = {}): void {
  if (source !== null || activeFollowers().length === 0) return;
  const opened = new AbortController();
  clearTimeout(reopen);
  source = opened;
  markAlive();
  const onOpen = (): void => {
    if (source !== opened) return;
    markAlive();
    if (mayHaveMissed) notify(MISSED);
  };
  const retry = (): void => {
    if (source !== opened) return;
    close();
    reopen = setTimeout(reconnect, REOPEN_MS);
  };
  read(opened.signal, onOpen).then(retry, retry);
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
