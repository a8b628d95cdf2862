// An event's form as values: what is typed, why it cannot be sent, and what is sent. Pure.

import { t } from '../i18n/t';
import type { EventChanges, LiveEvent, Visibility } from '../kit/types';
import { laterInput, ownZone, toZonedInput, zonedMoments } from '../kit/zones';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** What a provider types. `starts` and `ends` are values of datetime-local inputs: minutes, in the event's zone. */
export interface Draft {
  title: string;
  description: string;
  starts: string;
  ends: string;
  timeZone: string;
  vp8: boolean;
  visibility: Visibility;
  /** A new pass phrase; empty leaves the one of before. */
  passPhrase: string;
  /** The last start that was a time: one that is typed over is none in between. */
  lastStart: string;
  /** The times of the event that the form was opened with: clocks that go back show two moments as one value. */
  opened: Pick<LiveEvent, 'starts_at' | 'ends_at'> | null;
}

/** What the portal takes and gives of an event. Times are RFC 3339 in UTC. */
export type Content = Pick<
  LiveEvent,
  'title' | 'description' | 'starts_at' | 'ends_at' | 'time_zone' | 'vp8' | 'visibility'
>;

/** As the portal counts: trimmed, and each character in one spelling. */
const LEAST_PHRASE = 8;

export function emptyDraft(nowMs: number, timeZone: string = ownZone()): Draft {
  const starts = toZonedInput(nowMs, timeZone);
  // An hour later by the clock: where clocks go back, an hour later they may show the same time again.
  const times = { starts, ends: laterInput(starts, HOUR_MS) ?? starts, timeZone };
  const content = { title: '', description: '', ...times, vp8: false };
  return { ...content, visibility: 'public', passPhrase: '', lastStart: starts, opened: null };
}

export function draftOf(event: Content): Draft {
  const { title, description, vp8, visibility, starts_at, ends_at, time_zone: timeZone } = event;
  const local = (iso: string): string => toZonedInput(Date.parse(iso), timeZone);
  const starts = local(starts_at);
  const times = { starts, ends: local(ends_at), timeZone, lastStart: starts, opened: { starts_at, ends_at } };
  return { title, description, ...times, vp8, visibility, passPhrase: '' };
}

/** A moment of the opened event where its value is still the one in the form: it has seconds, and is the right one of two. */
function kept(draft: Draft, name: 'starts' | 'ends'): number[] {
  const at = Date.parse(draft.opened?.[`${name}_at`] ?? '');
  return !Number.isNaN(at) && toZonedInput(at, draft.timeZone) === draft[name] ? [at] : [];
}

interface Times {
  starts: number | null;
  ends: number | null;
}

/** The moments of a draft. Of an end that clocks show twice it is the first after the start. */
function timesOf(draft: Draft): Times {
  const [starts = null] = [...kept(draft, 'starts'), ...zonedMoments(draft.starts, draft.timeZone)];
  const ends = [...kept(draft, 'ends'), ...zonedMoments(draft.ends, draft.timeZone)];
  return { starts, ends: ends.find((ms) => starts !== null && ms > starts) ?? ends[0] ?? null };
}

/** How long the draft's event lasts, in seconds, where its two values show something else: clocks change in between. */
export function trueLengthOf(draft: Draft): number | null {
  const { starts, ends } = timesOf(draft);
  if (starts === null || ends === null || ends <= starts) return null;
  const minutes = Math.round((ends - starts) / MINUTE_MS);
  const shown = (Date.parse(`${draft.ends}Z`) - Date.parse(`${draft.starts}Z`)) / MINUTE_MS;
  return Math.abs(minutes - shown) > 1 ? minutes * 60 : null;
}

/** Whether the event must be given a pass phrase. */
const needsPhrase = (draft: Draft, before: Visibility | null): boolean =>
  draft.visibility === 'pass_phrase' && (before !== 'pass_phrase' || draft.passPhrase !== '');

/** Why a draft cannot be sent, null when it can. `before`: the visibility that the event has already. */
export function problemOf(draft: Draft, before: Visibility | null = null): string | null {
  const { starts, ends } = timesOf(draft);
  if (draft.title.trim() === '') return t('draft.noTitle');
  if (starts === null || ends === null) return t('draft.noTimes');
  if (ends <= starts) return t('draft.endFirst');
  if (needsPhrase(draft, before) && [...draft.passPhrase.normalize('NFC').trim()].length < LEAST_PHRASE) {
    return t('draft.shortPhrase', { count: LEAST_PHRASE });
  }
  return null;
}

/**
 * The draft with another start. The end moves with it by the clock; where clocks that go back leave no time between the
 * two then, the event stays as long as it was.
 */
export function withStart(draft: Draft, starts: string): Draft {
  const ends = laterInput(draft.ends, Date.parse(`${starts}Z`) - Date.parse(`${draft.lastStart}Z`));
  if (ends === null) return { ...draft, starts };
  const moved = { ...draft, starts, ends, lastStart: starts };
  const [before, after] = [timesOf({ ...draft, starts: draft.lastStart }), timesOf(moved)];
  if (before.starts === null || before.ends === null || after.starts === null || after.ends === null) return moved;
  if (before.ends <= before.starts || after.ends > after.starts) return moved;
  return { ...moved, ends: toZonedInput(after.starts + before.ends - before.starts, draft.timeZone) };
}

const isoOf = (ms: number | null): string => (ms === null ? '' : new Date(ms).toISOString());

export function contentOf(draft: Draft): Content {
  const { starts, ends } = timesOf(draft);
  return {
    title: draft.title.trim(),
    description: draft.description.trim(),
    starts_at: isoOf(starts),
    ends_at: isoOf(ends),
    time_zone: draft.timeZone,
    vp8: draft.vp8,
    visibility: draft.visibility,
  };
}

/** The new pass phrase, where there is one to send. */
export function phraseOf(draft: Draft): { pass_phrase?: string } {
  return draft.visibility === 'pass_phrase' && draft.passPhrase !== '' ? { pass_phrase: draft.passPhrase } : {};
}

/**
 * What changed since the event was read, with the version that was read; null when nothing did. An
 * untouched time is not sent: the portal refuses an end that has passed.
 */
export function changesOf(draft: Draft, event: Content & { version: number }): EventChanges | null {
  const before = draftOf(event);
  const isMoved = draft.timeZone !== before.timeZone;
  const content = contentOf(draft);
  const isOther = (iso: string, saved: string): boolean => Date.parse(iso) !== Date.parse(saved);
  const changes: Omit<EventChanges, 'version'> = {
    ...phraseOf(draft),
    ...(draft.visibility !== before.visibility && { visibility: draft.visibility }),
    ...(content.title !== before.title && { title: content.title }),
    ...(content.description !== before.description.trim() && { description: content.description }),
    ...(isMoved && { time_zone: draft.timeZone }),
    ...((isMoved || isOther(content.starts_at, event.starts_at)) && { starts_at: content.starts_at }),
    ...((isMoved || isOther(content.ends_at, event.ends_at)) && { ends_at: content.ends_at }),
    ...(draft.vp8 !== before.vp8 && { vp8: draft.vp8 }),
  };
  return Object.keys(changes).length === 0 ? null : { version: event.version, ...changes };
}

/** Others of the provider's that are on at the same time as the draft and not over. */
export function overlapsOf(
  draft: Draft,
  others: readonly LiveEvent[],
  provider: string,
  own: string | null,
): LiveEvent[] {
  const { starts_at, ends_at } = contentOf(draft);
  const begin = Date.parse(starts_at);
  const end = Date.parse(ends_at);
  return others.filter(
    (one) =>
      one.id !== own &&
      one.provider_id === provider &&
      one.state !== 'ended' &&
      one.state !== 'cancelled' &&
      Date.parse(one.starts_at) < end &&
      Date.parse(one.ends_at) > begin,
  );
}
