// In: calls by name. Out: typed JSON, or an ApiError with the cause and the time to try again.
// The only module with the portal's paths. The caller gives `fetch`, which sends the sign-in's cookie by itself.

import type { paths } from './api-types';
import { type AnswerOf, addressOf, type Call, type CallArguments, type Method, type PathOf, requestOf } from './rest';
import type {
  Account,
  EventChanges,
  EventSearch,
  MemberRole,
  NewDevice,
  NewEvent,
  NewPath,
  NewPlayout,
  NewTopology,
  ProviderSearch,
  Purpose,
  RecordingChanges,
  ReminderChannel,
  Reminders,
  Session,
} from './types';

/**
 * A request that failed. `status` is 0 without a response. The message is the server's, and empty where it sent none:
 * `errorText` has what to show.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly status: number,
    readonly code: string,
    message = '',
    readonly details: Readonly<Record<string, unknown>> = {},
    /** Seconds until the server wants the next attempt; null when it names none. */
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
  }
}

/** Retry-After (RFC 9110, 10.2.3): seconds or an HTTP date; null when absent or unreadable. */
export function parseRetryAfter(value: string | null, nowMs: number): number | null {
  if (value === null) return null;
  if (/^\s*\d+\s*$/.test(value)) return Number(value);
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - nowMs) / 1000));
}

/** Parses an error response. A body that is not the portal's JSON (a proxy's page) gives the status alone. */
export async function errorFrom(response: Response, nowMs: number): Promise<ApiError> {
  const retryAfterS = parseRetryAfter(response.headers.get('Retry-After'), nowMs);
  const body: unknown = await response.json().catch(() => null);
  const known = body !== null && typeof body === 'object' ? (body as Record<string, unknown>) : {};
  const text = (key: string, fallback: string): string =>
    typeof known[key] === 'string' && known[key] !== '' ? known[key] : fallback;
  const details =
    known['details'] !== null && typeof known['details'] === 'object'
      ? (known['details'] as Record<string, unknown>)
      : {};
  return new ApiError(response.status, text('code', 'umbel.error'), text('message', ''), details, retryAfterS);
}

/** Turns anything thrown into an ApiError, so that callers handle one kind. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof DOMException && (error.name === 'AbortError' || error.name === 'TimeoutError')) {
    return new ApiError(0, 'umbel.timeout');
  }
  return new ApiError(0, 'umbel.unreachable');
}

export interface ApiOptions {
  fetch: typeof fetch;
  /** Whether somebody is signed in, as far as the page knows. */
  isSignedIn: () => boolean;
  /** The grant to watch an event with a pass phrase, if there is one. */
  grantOf?: (eventId: string) => string | null;
  /** Called when the portal no longer accepts the sign-in. */
  onRefused: () => void;
  timeoutMs?: number;
  /** Waits before a request is sent again. */
  wait?: (ms: number) => Promise<void>;
}

const TIMEOUT_MS = 10_000;
/** For requests that start a function: longer than the 15 s the portal waits, so that no response comes too late. */
const START_MS = 20_000;

/** A short "not now" (503), such as a locked database, is retried before a person sees it. */
const RETRIES = 2;
/** A longer Retry-After is for people: a button that hangs is worse than a message. */
const LONGEST_RETRY_S = 3;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** How long to wait before the next attempt, null when another one is of no use now. */
function retryDelayMs(error: ApiError, random: number): number | null {
  const { status, retryAfterS } = error;
  if (status !== 503 || retryAfterS === null || retryAfterS > LONGEST_RETRY_S) return null;
  // Spread, so that many pages do not come back at the same moment.
  return retryAfterS * 1000 * (1 + random / 4);
}

/** What a request was given, if anything. Spelled out, the union of all operations' arguments is too large for tsc. */
const firstOf = (call: readonly unknown[]): Call => (call[0] as Call | undefined) ?? {};

export type Api = ReturnType<typeof createApi>;

export function createApi(options: ApiOptions) {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const wait = options.wait ?? sleep;
  const grantOf = options.grantOf ?? (() => null);

  async function request(method: Method, template: string, call: Call): Promise<Response> {
    for (let left = call.retries ?? RETRIES; ; left -= 1) {
      try {
        return await attempt(method, template, call);
      } catch (error) {
        const delayMs = left > 0 ? retryDelayMs(asApiError(error), Math.random()) : null;
        if (delayMs === null) throw error;
        await wait(delayMs);
      }
    }
  }

  async function attempt(method: Method, template: string, call: Call): Promise<Response> {
    const wasSignedIn = options.isSignedIn();
    const init = requestOf(method, call);
    const signal = AbortSignal.timeout(call.timeoutMs ?? timeoutMs);
    const response = await options.fetch(addressOf(template, call), { ...init, signal }).catch((error: unknown) => {
      throw asApiError(error);
    });
    if (response.ok) return response;
    if (response.status === 401 && call.bearer === undefined && wasSignedIn) options.onRefused();
    throw await errorFrom(response, Date.now());
  }

  /** Sends a request and reads the JSON of its response. */
  async function read<M extends Method, P extends PathOf<M>>(
    method: M,
    path: P,
    ...call: CallArguments<paths[P][M]>
  ): Promise<AnswerOf<paths[P][M]>> {
    const response = await request(method, path, firstOf(call));
    return (await response.json().catch(() => {
      throw new ApiError(response.status, 'umbel.not_json');
    })) as AnswerOf<paths[P][M]>;
  }

  /** Sends a request whose response is not read. */
  async function send<M extends Method, P extends PathOf<M>>(
    method: M,
    path: P,
    ...call: CallArguments<paths[P][M]>
  ): Promise<void> {
    await request(method, path, firstOf(call));
  }

  return {
    signIn: (username: string, password: string) =>
      read('post', '/api/v1/web-session', { json: { username, password }, bearer: null }),
    signOut: () => send('delete', '/api/v1/web-session'),
    signUpState: () => read('get', '/api/v1/sign-up'),
    signUp: (username: string, password: string, language: Account['language']) =>
      send('post', '/api/v1/sign-up', { json: { username, password, language }, bearer: null }),
    reservations: () => read('get', '/api/v1/me/reservations'),
    reserve: (eventId: string, purpose: Purpose) =>
      send('put', '/api/v1/me/reservations/{event_id}', {
        path: { event_id: eventId },
        json: { purpose },
        grant: grantOf(eventId),
      }),
    cancelReservation: (eventId: string) =>
      send('delete', '/api/v1/me/reservations/{event_id}', { path: { event_id: eventId } }),
    reminders: () => read('get', '/api/v1/me/reminders'),
    chooseReminders: (reminders: Reminders) => send('put', '/api/v1/me/reminders', { json: reminders }),
    chooseReservationReminders: (eventId: string, leads_s: number[], channels: ReminderChannel[]) =>
      send('put', '/api/v1/me/reservations/{event_id}/reminders', {
        path: { event_id: eventId },
        json: { leads_s, channels },
      }),
    resetReservationReminders: (eventId: string) =>
      send('delete', '/api/v1/me/reservations/{event_id}/reminders', { path: { event_id: eventId } }),
    following: () => read('get', '/api/v1/me/following'),
    follow: (providerId: string) =>
      send('put', '/api/v1/me/following/{provider_id}', { path: { provider_id: providerId } }),
    unfollow: (providerId: string) =>
      send('delete', '/api/v1/me/following/{provider_id}', { path: { provider_id: providerId } }),
    liveNotices: () => read('get', '/api/v1/me/live-notices'),
    push: () => read('get', '/api/v1/me/push'),
    addDevice: (device: NewDevice) => read('post', '/api/v1/me/push/devices', { json: device }),
    removeDevice: (deviceId: string) =>
      send('delete', '/api/v1/me/push/devices/{device_id}', { path: { device_id: deviceId } }),
    watched: () => read('get', '/api/v1/me/watched'),
    /** Outlives the page: also sent where it is left. */
    watchOn: (eventId: string) =>
      send('put', '/api/v1/me/watched/{event_id}', { path: { event_id: eventId }, keepalive: true, retries: 0 }),
    forgetWatched: () => send('delete', '/api/v1/me/watched'),
    calendarFeed: () => read('get', '/api/v1/me/calendar-feed'),
    makeCalendarFeed: () => read('post', '/api/v1/me/calendar-feed'),
    revokeCalendarFeed: () => send('delete', '/api/v1/me/calendar-feed'),
    recordings: () => read('get', '/api/v1/me/recordings'),
    record: (eventId: string, begin: 'now' | 'start', quality: string) =>
      read('post', '/api/v1/me/recordings', { json: { event_id: eventId, begin, quality } }),
    changeRecording: (recordingId: string, changes: RecordingChanges) =>
      read('patch', '/api/v1/me/recordings/{recording_id}', { path: { recording_id: recordingId }, json: changes }),
    deleteFile: (fileId: string) => send('delete', '/api/v1/files/{file_id}', { path: { file_id: fileId } }),
    deleteRecording: (recordingId: string) =>
      send('delete', '/api/v1/me/recordings/{recording_id}', { path: { recording_id: recordingId } }),
    replayRecording: (recordingId: string) =>
      read('post', '/api/v1/me/recordings/{recording_id}/replay', { path: { recording_id: recordingId } }),
    shares: (recordingId: string) =>
      read('get', '/api/v1/me/recordings/{recording_id}/shares', { path: { recording_id: recordingId } }),
    share: (recordingId: string, seconds: number) =>
      read('post', '/api/v1/me/recordings/{recording_id}/shares', {
        path: { recording_id: recordingId },
        json: { expires_in_s: seconds },
      }),
    revokeShare: (recordingId: string, shareId: string) =>
      send('delete', '/api/v1/me/recordings/{recording_id}/shares/{share_id}', {
        path: { recording_id: recordingId, share_id: shareId },
      }),
    sharedRecording: (secret: string) =>
      read('get', '/api/v1/shared-recordings/{secret}', { path: { secret }, bearer: null }),
    replayPolicy: (eventId: string) =>
      read('get', '/api/v1/events/{event_id}/replay-policy', { path: { event_id: eventId } }),
    setReplayPolicy: (eventId: string, enabled: boolean) =>
      read('put', '/api/v1/events/{event_id}/replay-policy', { path: { event_id: eventId }, json: { enabled } }),
    replayEvent: (eventId: string) => read('post', '/api/v1/events/{event_id}/replay', { path: { event_id: eventId } }),
    captions: (eventId: string, after: number | null) =>
      read('get', '/api/v1/events/{event_id}/captions', {
        path: { event_id: eventId },
        query: after === null ? {} : { after },
      }),
    searchCaptions: async (words: string, eventId?: string) =>
      (await read('get', '/api/v1/captions', { query: { q: words, ...(eventId && { event_id: eventId }) } })).captions,
    captionPolicy: (eventId: string) =>
      read('get', '/api/v1/events/{event_id}/caption-policy', { path: { event_id: eventId } }),
    setCaptionPolicy: (eventId: string, language: string | null) =>
      read('put', '/api/v1/events/{event_id}/caption-policy', { path: { event_id: eventId }, json: { language } }),
    account: () => read('get', '/api/v1/me/account'),
    changePassword: (present: string, next: string) =>
      send('put', '/api/v1/me/password', { json: { current_password: present, new_password: next } }),
    setEmail: (email: string, password: string) => send('put', '/api/v1/me/email', { json: { email, password } }),
    setEmailLanguage: (language: Account['language']) => send('put', '/api/v1/me/language', { json: { language } }),
    sendEmailLetter: () => send('post', '/api/v1/me/email/letter'),
    confirmEmail: (secret: string) => send('post', '/api/v1/email-confirmations', { json: { secret }, bearer: null }),
    askForPassword: (name: string) => send('post', '/api/v1/password-resets', { json: { name }, bearer: null }),
    resetPassword: (secret: string, password: string) =>
      send('post', '/api/v1/password-resets/confirm', { json: { secret, new_password: password }, bearer: null }),
    deleteAccount: (password: string) => send('post', '/api/v1/me/delete', { json: { password } }),
    signOutEverywhere: () => send('delete', '/api/v1/me/tokens'),
    me: () => read('get', '/api/v1/me'),
    demand: (eventId: string) => read('get', '/api/v1/events/{event_id}/demand', { path: { event_id: eventId } }),
    statistics: (eventId: string) =>
      read('get', '/api/v1/events/{event_id}/statistics', { path: { event_id: eventId } }),
    members: (providerId: string) =>
      read('get', '/api/v1/providers/{provider_id}/members', { path: { provider_id: providerId } }),
    putMember: (providerId: string, username: string, role: MemberRole) =>
      send('put', '/api/v1/providers/{provider_id}/members/{username}', {
        path: { provider_id: providerId, username },
        json: { role },
      }),
    removeMember: (providerId: string, username: string) =>
      send('delete', '/api/v1/providers/{provider_id}/members/{username}', {
        path: { provider_id: providerId, username },
      }),
    providers: () => read('get', '/api/v1/providers'),
    provider: (providerId: string) =>
      read('get', '/api/v1/providers/{provider_id}', { path: { provider_id: providerId } }),
    discoverEvents: (query: EventSearch) => read('get', '/api/v1/discover/events', { query }),
    discoverProviders: (query: ProviderSearch) => read('get', '/api/v1/discover/providers', { query }),
    events: () => read('get', '/api/v1/events'),
    /** Those that one runs, also where not everybody finds them. */
    ownEvents: () => read('get', '/api/v1/events', { query: { mine: true } }),
    event: (eventId: string) =>
      read('get', '/api/v1/events/{event_id}', { path: { event_id: eventId }, grant: grantOf(eventId) }),
    unlockEvent: (eventId: string, passPhrase: string) =>
      read('post', '/api/v1/events/{event_id}/grants', {
        path: { event_id: eventId },
        json: { pass_phrase: passPhrase },
      }),
    /** The event and those of its series that follow. */
    changeFollowing: (eventId: string, changes: EventChanges) =>
      read('patch', '/api/v1/events/{event_id}/following', { path: { event_id: eventId }, json: changes }),
    cancelFollowing: (eventId: string) =>
      send('post', '/api/v1/events/{event_id}/following/cancel', { path: { event_id: eventId } }),
    setPicture: (eventId: string, file: Blob) =>
      send('put', '/api/v1/events/{event_id}/picture', { path: { event_id: eventId }, file, timeoutMs: START_MS }),
    removePicture: (eventId: string) =>
      send('delete', '/api/v1/events/{event_id}/picture', { path: { event_id: eventId } }),
    invitations: (eventId: string) =>
      read('get', '/api/v1/events/{event_id}/invitations', { path: { event_id: eventId } }),
    invite: (eventId: string, usernames: string[]) =>
      read('put', '/api/v1/events/{event_id}/invitations', { path: { event_id: eventId }, json: { usernames } }),
    createEvent: (body: NewEvent) => read('post', '/api/v1/events', { json: body }),
    changeEvent: (eventId: string, changes: EventChanges) =>
      read('patch', '/api/v1/events/{event_id}', { path: { event_id: eventId }, json: changes }),
    endEvent: (eventId: string) => send('post', '/api/v1/events/{event_id}/end', { path: { event_id: eventId } }),
    cancelEvent: (eventId: string) => send('post', '/api/v1/events/{event_id}/cancel', { path: { event_id: eventId } }),
    ingest: (eventId: string) =>
      read('post', '/api/v1/events/{event_id}/ingest', { path: { event_id: eventId }, json: {}, timeoutMs: START_MS }),
    rotateKey: (eventId: string) =>
      read('post', '/api/v1/events/{event_id}/stream-key', { path: { event_id: eventId } }),
    /** Watching needs no account, so an expired sign-in cannot prevent it. Without a quality it is the source's. */
    openSession: (eventId: string, accessNode: string | null, quality: string | null) =>
      read('post', '/api/v1/events/{event_id}/sessions', {
        path: { event_id: eventId },
        json: { ...(accessNode !== null && { access_node: accessNode }), ...(quality !== null && { quality }) },
        bearer: null,
        grant: grantOf(eventId),
        timeoutMs: START_MS,
        // The player waits and tries again by itself.
        retries: 0,
      }),
    /** Outlives the page: used on pagehide. Never fails, because the portal closes idle sessions itself. */
    closeSession: ({ id, token }: Session): Promise<void> =>
      send('delete', '/api/v1/sessions/{session_id}', {
        path: { session_id: id },
        bearer: token,
        keepalive: true,
        retries: 0,
      }).catch(() => undefined),
    tree: (eventId: string) => read('get', '/api/v1/trees/{event_id}', { path: { event_id: eventId } }),
    nodes: () => read('get', '/api/v1/nodes'),
    links: () => read('get', '/api/v1/links'),
    functions: () => read('get', '/api/v1/functions'),
    topology: () => read('get', '/api/v1/network/topology'),
    draw: (drawing: NewTopology) => read('put', '/api/v1/network/topology', { json: drawing }),
    switches: () => read('get', '/api/v1/network/switches'),
    overlayLinks: () => read('get', '/api/v1/network/links'),
    rules: (node: string) => read('get', '/api/v1/network/flows', { query: { node } }),
    paths: () => read('get', '/api/v1/network/paths'),
    addPath: (path: NewPath) => read('post', '/api/v1/network/paths', { json: path }),
    removePath: (pathId: string) => send('delete', '/api/v1/network/paths/{path_id}', { path: { path_id: pathId } }),
    webhooks: () => read('get', '/api/v1/notifications'),
    ping: (webhookId: string) =>
      read('post', '/api/v1/notifications/{subscriber_id}/ping', { path: { subscriber_id: webhookId } }),
    removeWebhook: (webhookId: string) =>
      send('delete', '/api/v1/notifications/{subscriber_id}', { path: { subscriber_id: webhookId } }),
    files: (providerId: string) => read('get', '/api/v1/files', { query: { provider_id: providerId } }),
    playout: (eventId: string) => read('get', '/api/v1/events/{event_id}/playout', { path: { event_id: eventId } }),
    setPlayout: (eventId: string, options: NewPlayout) =>
      read('put', '/api/v1/events/{event_id}/playout', { path: { event_id: eventId }, json: options }),
    startPlayout: (eventId: string, positionS: number | null) =>
      read('post', '/api/v1/events/{event_id}/playout/start', {
        path: { event_id: eventId },
        json: { position_s: positionS },
      }),
    stopPlayout: (eventId: string) =>
      read('post', '/api/v1/events/{event_id}/playout/stop', { path: { event_id: eventId } }),
    slices: () => read('get', '/api/v1/slices'),
  };
}
