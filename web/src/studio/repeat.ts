// How an event is repeated, as it is typed and as it is sent. Pure.

import { t } from '../i18n/t';
import type { NewEvent } from '../kit/types';

export type Repeat = NonNullable<NewEvent['repeat']>;

export const MOST = 100;
const MOST_EVERY = 99;

export interface RepeatDraft {
  unit: 'none' | Repeat['unit'];
  every: string;
  end: 'count' | 'until';
  count: string;
  /** A date input's value. */
  until: string;
}

export const NO_REPEAT: RepeatDraft = { unit: 'none', every: '1', end: 'count', count: '4', until: '' };

const isWhole = (text: string, least: number, most: number): boolean =>
  /^\d{1,4}$/.test(text.trim()) && Number(text) >= least && Number(text) <= most;

/** Why it cannot be sent, null when it can. `starts`: a datetime-local input's value. */
export function repeatProblemOf(draft: RepeatDraft, starts: string): string | null {
  if (draft.unit === 'none') return null;
  if (!isWhole(draft.every, 1, MOST_EVERY)) return t('repeat.badEvery', { most: MOST_EVERY });
  if (draft.end === 'count') {
    return isWhole(draft.count, 2, MOST) ? null : t('repeat.badCount', { most: MOST });
  }
  if (draft.until === '') return t('repeat.noDay');
  return draft.until > starts.slice(0, 10) ? null : t('repeat.dayFirst');
}

export function repeatOf(draft: RepeatDraft): { repeat?: Repeat } {
  if (draft.unit === 'none') return {};
  const { unit } = draft;
  const every = Number(draft.every);
  return draft.end === 'count'
    ? { repeat: { unit, every, count: Number(draft.count) } }
    : { repeat: { unit, every, until: draft.until } };
}
