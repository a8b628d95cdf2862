// Requests the event and a session while the page's scripts are still loading. The page and the player take
// the answers, each once. In: the address's event and preferences. Out: promises, or null where there is none.

import { api } from '../kit/portal';
import type { LiveEvent, Session } from '../kit/types';
import type { Preferences } from './preferences';
import { SOURCE } from './quality';

/** A session that nobody has taken by then is closed: the event may not be open, or the page has failed. */
export const UNUSED_MS = 10_000;

export interface Portal {
  event: (eventId: string) => Promise<LiveEvent>;
  openSession: (eventId: string, accessNode: string | null, quality: string | null) => Promise<Session>;
  closeSession: (session: Session) => Promise<void>;
}

interface Asked<T> {
  eventId: string;
  answer: Promise<T>;
}

/** Connects to the edge before its first request. Requests to edges carry no cookies, so neither does this. */
function preconnect(session: Session): void {
  const link = document.createElement('link');
  link.rel = 'preconnect';
  link.crossOrigin = 'anonymous';
  link.href = new URL(session.whep).origin;
  document.head.append(link);
}

export class Early {
  private event: (Asked<LiveEvent> & { known: LiveEvent | null }) | null = null;
  private session: (Asked<Session> & { quality: string }) | null = null;

  constructor(
    private readonly portal: Portal,
    private readonly onSession: (session: Session) => void = preconnect,
  ) {}

  /** `opens`: whether a session is opened, too. It is not where its quality depends on the event. */
  begin(eventId: string, preferences: Preferences, opens = true): void {
    const event = { eventId, answer: this.portal.event(eventId), known: null as LiveEvent | null };
    this.event = event;
    // Who asks after a refusal asks the portal again: the event may have been opened since.
    event.answer.then(
      (value) => {
        event.known = value;
      },
      () => {
        if (this.event === event) this.event = null;
      },
    );
    setTimeout(() => {
      if (this.event === event) this.event = null;
    }, UNUSED_MS);
    if (opens) this.open(eventId, preferences);
  }

  private open(eventId: string, { node, quality }: Preferences): void {
    const answer = this.portal.openSession(eventId, node, quality === SOURCE ? null : quality);
    const session = { eventId, quality, answer };
    this.session = session;
    answer.then(this.onSession).catch(() => {
      if (this.session === session) this.session = null;
    });
    setTimeout(() => {
      if (this.session === session) this.close();
    }, UNUSED_MS);
  }

  /** The event, if the answer is there already and nobody has taken it. */
  knownEvent(eventId: string): LiveEvent | null {
    return this.event?.eventId === eventId ? this.event.known : null;
  }

  takeEvent(eventId: string): Promise<LiveEvent> | null {
    const asked = this.event;
    this.event = null;
    return asked?.eventId === eventId ? asked.answer : null;
  }

  /** Closes a session of another event or quality than the wanted one. */
  takeSession(eventId: string, quality: string): Promise<Session> | null {
    const asked = this.session;
    if (asked?.eventId !== eventId || asked.quality !== quality) {
      this.close();
      return null;
    }
    this.session = null;
    return asked.answer;
  }

  private close(): void {
    this.session?.answer.then(this.portal.closeSession).catch(() => undefined);
    this.session = null;
  }
}

export const early = new Early(api);
