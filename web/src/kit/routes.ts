// Addresses in, pages out. Pure.

export type Route =
  | { page: 'discover' }
  | { page: 'watch'; eventId: string }
  | { page: 'studio' }
  | { page: 'studio-event'; eventId: string }
  | { page: 'network' }
  | { page: 'missing' };

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

export function matchRoute(pathname: string): Route {
  const parts = pathname.split('/').filter((part) => part !== '');
  const [first, second, third, ...rest] = parts.map(decode);
  if (rest.length > 0) return { page: 'missing' };
  if (first === undefined) return { page: 'discover' };
  if (first === 'watch' && second && third === undefined) return { page: 'watch', eventId: second };
  if (first === 'studio' && second === undefined) return { page: 'studio' };
  if (first === 'studio' && second === 'events' && third) return { page: 'studio-event', eventId: third };
  if (first === 'network' && second === undefined) return { page: 'network' };
  return { page: 'missing' };
}

export const to = {
  discover: '/',
  watch: (eventId: string) => `/watch/${encodeURIComponent(eventId)}`,
  studio: '/studio',
  studioEvent: (eventId: string) => `/studio/events/${encodeURIComponent(eventId)}`,
  network: (eventId?: string) => (eventId ? `/network?event=${encodeURIComponent(eventId)}` : '/network'),
  networkStream: (stream: string) => `/network?stream=${encodeURIComponent(stream)}`,
};
