// What a message is, and the types that hold a translation to the English one. Pure.
//
// A message is text with placeholders, `{name}`; or, where it depends on a number, one text for each plural form of
// the language (CLDR's: Intl.PluralRules), chosen by `count`.

export type Plural = { readonly [Form in Intl.LDMLPluralRule]?: string } & { readonly other: string };
export type Message = string | Plural;

type NamesIn<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;

/** The placeholders of a message. A plural's are those of its form `other`, and the count that chooses the form. */
export type PlaceholdersOf<M> = M extends string
  ? NamesIn<M>
  : M extends { readonly other: infer Other extends string }
    ? NamesIn<Other> | 'count'
    : never;

/** What a message is formatted with; a plural's count is a number. */
export type ValuesOf<M, V> = {
  readonly [Name in PlaceholdersOf<M>]: M extends string ? V : Name extends 'count' ? number : V;
};

/** No argument where a message has no placeholder. */
export type Arguments<M, V> = [PlaceholdersOf<M>] extends [never] ? [] : [values: ValuesOf<M, V>];

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

/** `T` where it has the placeholders of `E`; else a type that no text has, and that names the difference. */
type FaithfulText<E extends string, T> = T extends string
  ? Same<NamesIn<E>, NamesIn<T>> extends true
    ? T
    : { missing: Exclude<NamesIn<E>, NamesIn<T>>; unknown: Exclude<NamesIn<T>, NamesIn<E>> }
  : string;

/** A form such as `one` may leave out the number, and nothing else. */
type FaithfulForm<E extends string, T> = T extends string
  ? Same<Exclude<NamesIn<E>, 'count'>, Exclude<NamesIn<T>, 'count'>> extends true
    ? T
    : { missing: Exclude<NamesIn<E>, NamesIn<T>>; unknown: Exclude<NamesIn<T>, NamesIn<E>> }
  : string | undefined;

type FaithfulPlural<E extends string, T> = {
  readonly [Form in keyof T | 'other']: Form extends 'other'
    ? FaithfulText<E, Form extends keyof T ? T[Form] : never>
    : FaithfulForm<E, Form extends keyof T ? T[Form] : never>;
};

/** What the message `T` of a translation must be, where the English one is `E`. */
export type Faithful<E, T> = E extends string
  ? FaithfulText<E, T>
  : E extends { readonly other: infer Other extends string }
    ? FaithfulPlural<Other, T>
    : never;
