// An event's form as values: what is typed, why it cannot be sent, and what is sent. Pure.

import { fromLocalInput, toLocalInput } from '../kit/format';
import type { EventChanges, LiveEvent } from '../kit/types';

const HOUR_MS = 3_600_000;

/** What a provider types. `starts` and `ends` are values of datetime-local inputs: minutes, in the browser's zone. */
export interface Draft {
  title: string;
  description: string;
  starts: string;
  ends: string;
  vp8: boolean;
}

/** What the portal takes of an event. Times are RFC 3339 in UTC. */
export type Content = Pick<LiveEvent, 'title' | 'description' | 'starts_at' | 'ends_at' | 'vp8'>;

export function emptyDraft(nowMs: number): Draft {
  const ends = toLocalInput(nowMs + HOUR_MS);
  return { title: '', description: '', starts: toLocalInput(nowMs), ends, vp8: false };
}

export function draftOf(event: Content): Draft {
  const { title, description, vp8 } = event;
  const local = (iso: string): string => toLocalInput(Date.parse(iso));
  return { title, description, starts: local(event.starts_at), ends: local(event.ends_at), vp8 };
}

/** Why a draft cannot be sent, null when it can. */
export function problemOf(draft: Draft): string | null {
  const starts = fromLocalInput(draft.starts);
  const ends = fromLocalInput(draft.ends);
  if (draft.title.trim() === '') return 'Enter a title.';
  if (starts === null || ends === null) return 'Enter a start and an end.';
  return Date.parse(ends) > Date.parse(starts) ? null : 'The end must be after the start.';
}

/** The draft with another start. The end moves with it, so that the event stays as long as it was. */
export function withStart(draft: Draft, starts: string): Draft {
  const moved = Date.parse(starts) + Date.parse(draft.ends) - Date.parse(draft.starts);
  return Number.isNaN(moved) ? { ...draft, starts } : { ...draft, starts, ends: toLocalInput(moved) };
}

export function contentOf(draft: Draft): Content {
  return {
    title: draft.title.trim(),
    description: draft.description.trim(),
    starts_at: fromLocalInput(draft.starts) ?? '',
    ends_at: fromLocalInput(draft.ends) ?? '',
    vp8: draft.vp8,
  };
}

/**
 * What changed since the event was read, with the version that was read; null when nothing did. An
 * untouched time is not sent: the form knows minutes only, and the portal refuses an end that has passed.
 */
export function changesOf(draft: Draft, event: Content & { version: number }): EventChanges | null {
  const before = draftOf(event);
  const content = contentOf(draft);
  const changes: Partial<Content> = {
    ...(content.title !== before.title && { title: content.title }),
    ...(content.description !== before.description.trim() && { description: content.description }),
    ...(draft.starts !== before.starts && { starts_at: content.starts_at }),
    ...(draft.ends !== before.ends && { ends_at: content.ends_at }),
    ...(draft.vp8 !== before.vp8 && { vp8: draft.vp8 }),
  };
  return Object.keys(changes).length === 0 ? null : { version: event.version, ...changes };
}
