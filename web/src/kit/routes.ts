// Addresses in, pages out. Pure.

export type Route =
  | { page: 'discover' }
  | { page: 'watch'; eventId: string }
  | { page: 'embed'; eventId: string }
  | { page: 'provider'; providerId: string }
  | { page: 'studio-event'; eventId: string }
  | { page: 'shared'; secret: string }
  | { page: (typeof SINGLE)[number] }
  | { page: 'missing' };

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

/** Pages whose address is their name. */
const SINGLE = [
  'calendar',
  'recordings',
  'studio',
  'network',
  'account',
  'sign-up',
  'verify-email',
  'forgot-password',
  'reset-password',
] as const;

export function matchRoute(pathname: string): Route {
  const parts = pathname.split('/').filter((part) => part !== '');
  const [first, second, third, ...rest] = parts.map(decode);
  if (rest.length > 0) return { page: 'missing' };
  if (first === undefined) return { page: 'discover' };
  if (first === 'watch' && second && third === undefined) return { page: 'watch', eventId: second };
  if (first === 'embed' && second && third === undefined) return { page: 'embed', eventId: second };
  if (first === 'providers' && second && third === undefined) return { page: 'provider', providerId: second };
  if (first === 'studio' && second === 'events' && third) return { page: 'studio-event', eventId: third };
  if (first === 'shared' && second && third === undefined) return { page: 'shared', secret: second };
  const single = SINGLE.find((page) => page === first);
  if (single && second === undefined) return { page: single };
  return { page: 'missing' };
}

export const to = {
  discover: '/',
  search: (words: string) => (words === '' ? '/' : `/?${new URLSearchParams({ q: words }).toString()}`),
  provider: (providerId: string) => `/providers/${encodeURIComponent(providerId)}`,
  feed: (providerId: string) => `/providers/${encodeURIComponent(providerId)}/feed.xml`,
  embed: (eventId: string) => `/embed/${encodeURIComponent(eventId)}`,
  calendar: (month?: string, view?: string) => {
    const query = new URLSearchParams({ ...(month && { month }), ...(view && { view }) });
    return query.size === 0 ? '/calendar' : `/calendar?${query.toString()}`;
  },
  watch: (eventId: string) => `/watch/${encodeURIComponent(eventId)}`,
  /** The event's recording, so many seconds after its beginning. */
  moment: (eventId: string, atS: number) => `/watch/${encodeURIComponent(eventId)}?t=${String(Math.floor(atS))}`,
  recordings: '/recordings',
  studio: '/studio',
  account: '/account',
  signUp: '/sign-up',
  forgotPassword: '/forgot-password',
  studioEvent: (eventId: string) => `/studio/events/${encodeURIComponent(eventId)}`,
  network: (eventId?: string) => (eventId ? `/network?event=${encodeURIComponent(eventId)}` : '/network'),
  networkStream: (stream: string) => `/network?stream=${encodeURIComponent(stream)}`,
};
