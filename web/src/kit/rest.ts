// Requests typed by the OpenAPI document: a path, a method, a parameter or a field that the portal
// does not have is an error of the compiler. In: a path template and its values. Out: what fetch takes.

import type { paths } from './api-types';

export type Method = 'get' | 'put' | 'post' | 'patch' | 'delete';

/** The path templates that take this method. */
export type PathOf<M extends Method> = { [P in keyof paths]: paths[P][M] extends undefined ? never : P }[keyof paths];

type Json<T> = T extends { content: { 'application/json': infer J } } ? J : never;
type BodyOf<O> = O extends { requestBody?: infer B } ? Json<NonNullable<B>> : never;

/** The JSON of a successful response; never where there is none. */
export type AnswerOf<O> = O extends { responses: infer R } ? Json<R[keyof R & (200 | 201)]> : never;

/** What an operation needs: the values of its path and query, and its body. */
type Parts<O> = (O extends { parameters: { path: infer T } } ? { path: T } : { path?: never }) &
  (O extends { parameters: { query?: infer Q } } ? { query?: NonNullable<Q> } : { query?: never }) &
  ([BodyOf<O>] extends [never] ? { json?: never } : { json: BodyOf<O> });

interface Options {
  /** Another token than the user's sign-in; null where it does not matter who is signed in. */
  bearer?: string | null;
  /** Shows that the caller knows the event's pass phrase; null where there is no such grant. */
  grant?: string | null;
  /** A body that is not JSON, with its own type. */
  file?: Blob;
  keepalive?: boolean;
  timeoutMs?: number;
  /** How often it is sent again after "not now" (503); else twice. */
  retries?: number;
}

/** A call with the parts of its operation; optional where the operation needs none. */
export type CallOf<O> = Options & Parts<O>;
export type CallArguments<O> = Options extends CallOf<O> ? [call?: CallOf<O>] : [call: CallOf<O>];

/** Any call, after the compiler has checked it. */
export interface Call extends Options {
  path?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, unknown>>;
  json?: unknown;
}

/** The address of a template like `/api/v1/events/{event_id}` with its values. */
export function addressOf(template: string, { path = {}, query = {} }: Call): string {
  const address = template.replaceAll(/\{(\w+)\}/g, (_whole, name: string) => encodeURIComponent(path[name] ?? ''));
  const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
  return search.size === 0 ? address : `${address}?${search.toString()}`;
}

/** Shows the portal that a page of its own sent the request: another site can send the cookie, but not this. */
export const OURS: Readonly<Record<string, string>> = { 'X-CSRF-Protection': '1' };

export function requestOf(method: Method, call: Call): RequestInit {
  const headers: Record<string, string> = { Accept: 'application/json' };
  const init: RequestInit = { method: method.toUpperCase(), headers };
  if (typeof call.bearer === 'string') headers['Authorization'] = `Bearer ${call.bearer}`;
  else if (method !== 'get') Object.assign(headers, OURS);
  if (typeof call.grant === 'string') headers['X-Event-Grant'] = call.grant;
  if (call.json !== undefined) {
    headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(call.json);
  }
  if (call.file !== undefined) {
    headers['Content-Type'] = call.file.type;
    init.body = call.file;
  }
  if (call.keepalive) init.keepalive = true;
  return init;
}
