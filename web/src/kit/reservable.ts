// What an event can be reserved for, as the portal has it. Pure.

import type { LiveEvent, Purpose } from './types';

export function purposesFor(event: LiveEvent): readonly Purpose[] {
  if (event.state === 'scheduled' || event.state === 'open') return ['watch', 'record'];
  return event.state === 'live' ? ['record'] : [];
}
