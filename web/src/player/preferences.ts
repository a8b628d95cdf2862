// What the viewer wants: the page's address first, then what they chose before.

import { stored, tabStored } from '../kit/storage';
import type { Choice } from './model';
import { SOURCE } from './quality';

const CHOICE_KEY = 'umbel.protocol';

/** Where the viewer is, and what they chose. */
export interface Preferences {
  node: string | null;
  choice: Choice;
  quality: string;
}

const isChoice = (value: string | null): value is Choice => value === 'auto' || value === 'whep' || value === 'hls';

/** `?protocol=` for this visit, else what the viewer chose last, else auto. */
function initialChoice(query: URLSearchParams): Choice {
  const forced = query.get('protocol');
  if (isChoice(forced)) return forced;
  const kept = stored.get(CHOICE_KEY);
  return isChoice(kept) ? kept : 'auto';
}

const qualityKey = (eventId: string): string => `umbel.quality.${eventId}`;

/** The page's address (`?node=`, `?protocol=`, `?quality=`) first, then what was chosen before. */
export function preferencesOf(eventId: string, search: string): Preferences {
  const query = new URLSearchParams(search);
  const quality = query.get('quality') ?? tabStored.get(qualityKey(eventId)) ?? SOURCE;
  return { node: query.get('node'), choice: initialChoice(query), quality };
}

/** Kept for this tab only, because the next connection may carry another rate. */
export function keepQuality(eventId: string, quality: string): void {
  tabStored.set(qualityKey(eventId), quality);
}

export function keepChoice(choice: Choice): void {
  stored.set(CHOICE_KEY, choice);
}
