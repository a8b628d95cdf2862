// What an event can be reserved for, as the portal has it. Pure.

import type { LiveEvent, Purpose } from './types';

export function purposesFor(event: LiveEvent): readonly Purpose[] {
  if (event.state === 'scheduled' || event.state === 'open') return ['watch', 'record'];
  return event.state === 'live' ? ['record'] : [];
}

/** Whether an event that is reserved for `purpose` is reserved for this. */
export function includes(purpose: Purpose | null, one: Purpose): boolean {
  return purpose === one || purpose === 'both';
}

/** What an event is reserved for once this is pressed; null when it is reserved no more. */
export function toggled(event: LiveEvent, purpose: Purpose | null, one: Purpose): Purpose | null {
  const other: Purpose = one === 'watch' ? 'record' : 'watch';
  if (purpose === one) return null;
  if (purpose === 'both') return other;
  return purpose === other && purposesFor(event).includes(other) ? 'both' : one;
}
