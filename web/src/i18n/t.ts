// A message in the language of the page: `t` gives text, `rich` gives nodes.

import { createElement, Fragment, type ReactNode, useSyncExternalStore } from 'react';

import type { MessageKey } from './catalogue';
import { type English, english } from './en';
import { currentLanguage, currentLocale, currentTranslation, type Language, subscribe } from './language';
import type { Arguments, Message } from './message';

export type Value = string | number;

/** The text of a message, with the plural form that its count has in the language. */
export function selectPlural(message: Message, locale: string, count: unknown): string {
  if (typeof message === 'string') return message;
  return message[new Intl.PluralRules(locale).select(Number(count))] ?? message.other;
}

const resolve = (key: MessageKey, values: Readonly<Record<string, unknown>> | undefined): string => {
  const messages: Readonly<Record<string, Message>> = currentTranslation()?.messages ?? english;
  return selectPlural(messages[key] ?? english[key], currentLocale(), values?.['count']);
};

/** A number as the language writes it; a text as it is. */
const formatValue = (value: unknown): string =>
  typeof value === 'number' ? new Intl.NumberFormat(currentLocale()).format(value) : String(value);

/** Text and names of placeholders, in turn. */
export const splitPlaceholders = (text: string): string[] => text.split(/\{(\w+)\}/);

export function t<Key extends MessageKey>(key: Key, ...[values]: Arguments<English[Key], Value>): string {
  const args = values as Readonly<Record<string, unknown>> | undefined;
  return splitPlaceholders(resolve(key, args))
    .map((part, n) => (n % 2 === 0 ? part : formatValue(args?.[part])))
    .join('');
}

/** A message whose placeholders are elements, such as links. */
export function rich<Key extends MessageKey>(key: Key, ...[values]: Arguments<English[Key], ReactNode>): ReactNode {
  const args = values as Readonly<Record<string, ReactNode>> | undefined;
  const parts = splitPlaceholders(resolve(key, args)).map((part, n): ReactNode => {
    if (n % 2 === 0) return part;
    const value = args?.[part];
    return typeof value === 'number' ? formatValue(value) : value;
  });
  return createElement(Fragment, null, ...parts);
}

/** Renders a root again, and so all of its pages, when the language changes. */
export function useLanguage(): Language {
  return useSyncExternalStore(subscribe, currentLanguage);
}
