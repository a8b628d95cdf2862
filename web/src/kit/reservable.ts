// What an event can be reserved for, as the portal has it. Pure.

import type { LiveEvent, Purpose } from './types';

export function purposesFor(event: LiveEvent): readonly Purpose[] {
  return event.state === 'scheduled' || event.state === 'open' ? ['watch'] : []; // nothing records yet
}
