// The types of the catalogue: its keys, what a translation of it is, and which of the server's errors it names.

import type { English } from './en';
import type { ErrorCode } from './error-codes';
import type { Faithful, Message } from './message';

export type MessageKey = keyof English;

/** Keys of messages without placeholders: what a table in the code may hold, and `t` takes alone. */
export type PlainKey = {
  [Key in MessageKey]: English[Key] extends `${string}{${string}` ? never : English[Key] extends string ? Key : never;
}[MessageKey];

export type Catalogue = Readonly<Record<MessageKey, Message>>;
export type ServerErrors = Readonly<Record<ErrorCode, string>>;

/** What `T` must be to translate the catalogue: all of its keys, no other, and each message's placeholders. */
export type TranslationOf<T> = {
  readonly [Key in keyof T | MessageKey]: Key extends MessageKey
    ? Faithful<English[Key], Key extends keyof T ? T[Key] : never>
    : never;
};

/** Holds a translation to the English catalogue: what is missing or left over does not compile. */
export function translate<const T>(messages: T & TranslationOf<T>): Catalogue {
  return messages as unknown as Catalogue;
}
