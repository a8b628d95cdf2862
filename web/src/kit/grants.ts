// Grants to watch events that have a pass phrase. A tab keeps them until it is closed, or until they end.

import { tabStored } from './storage';

interface Grant {
  token: string;
  expires_at: string;
}

const name = (eventId: string): string => `umbel.grant.${eventId}`;

/** Parses a stored grant; null when it is malformed or has ended. */
export function parseGrant(text: string | null, nowMs: number): string | null {
  if (text === null) return null;
  try {
    const { token, expires_at } = JSON.parse(text) as Partial<Grant>;
    if (typeof token !== 'string' || typeof expires_at !== 'string') return null;
    return Date.parse(expires_at) > nowMs ? token : null;
  } catch {
    return null;
  }
}

export function grantOf(eventId: string): string | null {
  return parseGrant(tabStored.get(name(eventId)), Date.now());
}

export function keepGrant(eventId: string, { token, expires_at }: Grant): void {
  tabStored.set(name(eventId), JSON.stringify({ token, expires_at }));
}
