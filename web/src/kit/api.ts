// In: calls by name. Out: typed JSON, or an ApiError that says what failed and when to try again.
// The only module that knows the portal's paths. `fetch` and the sign-in are given by the caller.

import type {
  Callback,
  FunctionStatus,
  Ingest,
  LinkStatus,
  LiveEvent,
  Me,
  NetworkPath,
  NewEvent,
  NewPath,
  NewTopology,
  NodeStatus,
  OverlayLink,
  Provider,
  Rule,
  Session,
  Slice,
  SwitchStatus,
  Topology,
  Tree,
} from './types';

/** A request that did not succeed. `status` is 0 when no answer came at all. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    /** Seconds the server asks to wait, null when it did not say. */
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

/** Reads an error answer. A body that is not the portal's JSON (a proxy's page) still gives a message. */
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
  return new ApiError(
    response.status,
    text('code', 'umbel.error'),
    text('message', `The server answered ${String(response.status)}.`),
    details,
    retryAfterS,
  );
}

/** Any thrown thing as an ApiError, so that callers handle one kind. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof DOMException && (error.name === 'AbortError' || error.name === 'TimeoutError')) {
    return new ApiError(0, 'umbel.timeout', 'The server took too long to answer.');
  }
  return new ApiError(0, 'umbel.unreachable', 'The server cannot be reached. Check the connection.');
}

export interface ApiOptions {
  fetch: typeof fetch;
  /** The signed-in user's token, null when signed out. */
  token: () => string | null;
  /** Called when the portal no longer accepts the user's token. */
  onRefused: () => void;
  timeoutMs?: number;
}

interface Call {
  method?: string;
  json?: unknown;
  form?: Record<string, string>;
  /** Bearer instead of the user's own: a string, or null for none. */
  bearer?: string | null;
  keepalive?: boolean;
  timeoutMs?: number;
}

function requestOf(call: Call, bearer: string | null): RequestInit {
  const headers: Record<string, string> = { Accept: 'application/json' };
  const init: RequestInit = { method: call.method ?? 'GET', headers };
  if (bearer !== null) headers['Authorization'] = `Bearer ${bearer}`;
  if (call.json !== undefined) {
    headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(call.json);
  }
  if (call.form) init.body = new URLSearchParams(call.form);
  if (call.keepalive) init.keepalive = true;
  return init;
}

const TIMEOUT_MS = 10_000;
/** The portal itself waits 15 s for functions to start; a session that nobody waits for is nobody's to close. */
const SESSION_MS = 20_000;
const CALLBACKS = '/api/v1/notifications';
const NETWORK = '/api/v1/network';

export type Api = ReturnType<typeof createApi>;

export function createApi(options: ApiOptions) {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;

  async function send(path: string, call: Call): Promise<Response> {
    const bearer = call.bearer === undefined ? options.token() : call.bearer;
    const init = requestOf(call, bearer);
    const signal = AbortSignal.timeout(call.timeoutMs ?? timeoutMs);
    const response = await options.fetch(path, { ...init, signal }).catch((error: unknown) => {
      throw asApiError(error);
    });
    if (response.ok) return response;
    if (response.status === 401 && call.bearer === undefined && bearer !== null) options.onRefused();
    throw await errorFrom(response, Date.now());
  }

  async function read<T>(path: string, call: Call = {}): Promise<T> {
    const response = await send(path, call);
    return (await response.json().catch(() => {
      throw new ApiError(response.status, 'umbel.not_json', 'The server answered with something unreadable.');
    })) as T;
  }

  const id = encodeURIComponent;
  const event = (eventId: string): string => `/api/v1/events/${id(eventId)}`;

  return {
    signIn: (username: string, password: string) =>
      read<{ access_token: string; expires_in: number }>('/oauth/token', {
        method: 'POST',
        form: { grant_type: 'password', username, password },
        bearer: null,
      }),
    me: () => read<Me>('/api/v1/me'),
    providers: () => read<Provider[]>('/api/v1/providers'),
    events: () => read<LiveEvent[]>('/api/v1/events'),
    event: (eventId: string) => read<LiveEvent>(event(eventId)),
    createEvent: (body: NewEvent) => read<LiveEvent>('/api/v1/events', { method: 'POST', json: body }),
    endEvent: async (eventId: string) => {
      await send(`${event(eventId)}/end`, { method: 'POST' });
    },
    cancelEvent: async (eventId: string) => {
      await send(`${event(eventId)}/cancel`, { method: 'POST' });
    },
    ingest: (eventId: string) => read<Ingest>(`${event(eventId)}/ingest`, { method: 'POST' }),
    rotateKey: (eventId: string) => read<{ stream_key: string }>(`${event(eventId)}/stream-key`, { method: 'POST' }),
    /** Watching needs no account, so a stale sign-in cannot stand in the way either. No quality is the source's. */
    openSession: (eventId: string, accessNode: string | null, quality: string | null) =>
      read<Session>(`${event(eventId)}/sessions`, {
        method: 'POST',
        json: { ...(accessNode !== null && { access_node: accessNode }), ...(quality !== null && { quality }) },
        bearer: null,
        timeoutMs: SESSION_MS,
      }),
    /** Survives the page: used on pagehide. Never fails, the portal forgets idle sessions by itself. */
    closeSession: async (session: Session): Promise<void> => {
      const path = `/api/v1/sessions/${id(session.id)}`;
      await send(path, { method: 'DELETE', bearer: session.token, keepalive: true }).catch(() => undefined);
    },
    tree: (eventId: string) => read<Tree>(`/api/v1/trees/${id(eventId)}`),
    nodes: () => read<NodeStatus[]>('/api/v1/nodes'),
    links: () => read<LinkStatus[]>('/api/v1/links'),
    functions: () => read<FunctionStatus[]>('/api/v1/functions'),
    topology: () => read<Topology>(`${NETWORK}/topology`),
    draw: (drawing: NewTopology) => read<Topology>(`${NETWORK}/topology`, { method: 'PUT', json: drawing }),
    switches: () => read<SwitchStatus[]>(`${NETWORK}/switches`),
    overlayLinks: () => read<OverlayLink[]>(`${NETWORK}/links`),
    rules: (node: string) => read<Rule[]>(`${NETWORK}/flows?node=${id(node)}`),
    paths: () => read<NetworkPath[]>(`${NETWORK}/paths`),
    addPath: (path: NewPath) => read<NetworkPath>(`${NETWORK}/paths`, { method: 'POST', json: path }),
    removePath: async (pathId: string) => {
      await send(`${NETWORK}/paths/${id(pathId)}`, { method: 'DELETE' });
    },
    callbacks: () => read<Callback[]>(CALLBACKS),
    ping: (callbackId: string) =>
      read<{ delivered: boolean; error: string; took_ms: number }>(`${CALLBACKS}/${id(callbackId)}/ping`, {
        method: 'POST',
      }),
    removeCallback: async (callbackId: string) => {
      await send(`${CALLBACKS}/${id(callbackId)}`, { method: 'DELETE' });
    },
    slices: () => read<Slice[]>('/api/v1/slices'),
  };
}
