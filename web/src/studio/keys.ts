// Stream keys that this tab has shown. The portal shows a key once; here it lasts until the tab is closed,
// so that a reload does not cost the provider a new key.

const name = (eventId: string): string => `umbel.stream-key.${eventId}`;

export function keptKey(eventId: string): string | null {
  return sessionStorage.getItem(name(eventId));
}

export function keepKey(eventId: string, key: string): void {
  sessionStorage.setItem(name(eventId), key);
}
