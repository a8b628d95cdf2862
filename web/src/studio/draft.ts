// An event's form as values: what is typed, why it cannot be sent, and what is sent. Pure.

import { t } from '../i18n/t';
import type { EventChanges, LiveEvent, Visibility } from '../kit/types';
import { fromZonedInput, laterInput, ownZone, toZonedInput } from '../kit/zones';

const HOUR_MS = 3_600_000;

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
  return { ...content, visibility: 'public', passPhrase: '' };
}

export function draftOf(event: Content): Draft {
  const { title, description, vp8, visibility, time_zone: timeZone } = event;
  const local = (iso: string): string => toZonedInput(Date.parse(iso), timeZone);
  const times = { starts: local(event.starts_at), ends: local(event.ends_at), timeZone };
  return { title, description, ...times, vp8, visibility, passPhrase: '' };
}

/** Whether the event must be given a pass phrase. */
const needsPhrase = (draft: Draft, before: Visibility | null): boolean =>
  draft.visibility === 'pass_phrase' && (before !== 'pass_phrase' || draft.passPhrase !== '');

/** Why a draft cannot be sent, null when it can. `before`: the visibility that the event has already. */
export function problemOf(draft: Draft, before: Visibility | null = null): string | null {
  const starts = fromZonedInput(draft.starts, draft.timeZone);
  const ends = fromZonedInput(draft.ends, draft.timeZone);
  if (draft.title.trim() === '') return t('draft.noTitle');
  if (starts === null || ends === null) return t('draft.noTimes');
  if (Date.parse(ends) <= Date.parse(starts)) return t('draft.endFirst');
  if (needsPhrase(draft, before) && [...draft.passPhrase.normalize('NFC').trim()].length < LEAST_PHRASE) {
    return t('draft.shortPhrase', { count: LEAST_PHRASE });
  }
  return null;
}

/** The draft with another start. The end moves with it, so that the event stays as long as it was. */
export function withStart(draft: Draft, starts: string): Draft {
  const ends = laterInput(draft.ends, Date.parse(`${starts}Z`) - Date.parse(`${draft.starts}Z`));
  return { ...draft, starts, ends: ends ?? draft.ends };
}

export function contentOf(draft: Draft): Content {
  return {
    title: draft.title.trim(),
    description: draft.description.trim(),
    starts_at: fromZonedInput(draft.starts, draft.timeZone) ?? '',
    ends_at: fromZonedInput(draft.ends, draft.timeZone) ?? '',
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
 * untouched time is not sent: the form knows minutes only, and the portal refuses an end that has passed.
 */
export function changesOf(draft: Draft, event: Content & { version: number }): EventChanges | null {
  const before = draftOf(event);
  const isMoved = draft.timeZone !== before.timeZone;
  const content = contentOf(draft);
  const changes: Omit<EventChanges, 'version'> = {
    ...phraseOf(draft),
    ...(draft.visibility !== before.visibility && { visibility: draft.visibility }),
    ...(content.title !== before.title && { title: content.title }),
    ...(content.description !== before.description.trim() && { description: content.description }),
    ...(isMoved && { time_zone: draft.timeZone }),
    ...((isMoved || draft.starts !== before.starts) && { starts_at: content.starts_at }),
    ...((isMoved || draft.ends !== before.ends) && { ends_at: content.ends_at }),
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
