// The language of the page: which there are, which one is chosen, and what changes with it. Small, because the first
// script needs it: the English messages are not here, and others are loaded when they are needed.
// In: the browser's languages, and what was chosen on this device. Out: the language, its locale and its messages.

import { stored } from '../kit/storage';
import type { Catalogue, ServerErrors } from './catalogue';

export interface Translation {
  messages: Catalogue;
  /** What the server's errors mean, by code; where there is none, the server's English is shown. */
  errors: ServerErrors;
}

interface LanguageEntry {
  /** What the language calls itself. */
  name: string;
  /** Null for English, which is always there. */
  load: (() => Promise<Translation>) | null;
}

export const LANGUAGES = {
  en: { name: 'English', load: null },
  de: { name: 'Deutsch', load: () => import('./de').then(({ german }) => german) },
} as const satisfies Readonly<Record<string, LanguageEntry>>;

export type Language = keyof typeof LANGUAGES;

const STORAGE_KEY = 'umbel.language';
/** What the service worker reads, because it has no localStorage: public/sw.js. */
const CACHE_NAME = 'umbel-language';

export const isLanguage = (text: unknown): text is Language =>
  typeof text === 'string' && Object.hasOwn(LANGUAGES, text);

/** The first of the preferred languages (BCP 47) that there is; English where there is none. */
export function negotiateLanguage(preferred: readonly string[]): Language {
  for (const tag of preferred) {
    const [primary = ''] = tag.toLowerCase().split('-');
    if (isLanguage(primary)) return primary;
  }
  return 'en';
}

/** The locale for numbers and dates: the browser's own of this language ("de-AT"), else the language. */
export function localeFor(language: Language, preferred: readonly string[]): string {
  return preferred.find((tag) => tag.toLowerCase().split('-')[0] === language) ?? language;
}

const browserLanguages = (): readonly string[] => globalThis.navigator?.languages ?? [];

interface State {
  language: Language;
  locale: string;
  /** Null where the language is English. */
  translation: Translation | null;
}

let current: State = { language: 'en', locale: localeFor('en', browserLanguages()), translation: null };
const listeners = new Set<() => void>();

export const currentLanguage = (): Language => current.language;
export const currentLocale = (): string => current.locale;
export const currentTranslation = (): Translation | null => current.translation;

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

function storedLanguage(): Language | null {
  const text = stored.get(STORAGE_KEY);
  return isLanguage(text) ? text : null;
}

/** Uses a language from now on. Where its messages cannot be loaded, the current one stays. */
async function activate(language: Language): Promise<boolean> {
  const { load } = LANGUAGES[language];
  const translation = load === null ? null : await load().catch(() => null);
  if (load !== null && translation === null) return false;
  current = { language, locale: localeFor(language, browserLanguages()), translation };
  document.documentElement.lang = language;
  for (const listener of [...listeners]) listener();
  return true;
}

/** For the service worker, which shows notifications and the page for no network: in English without this. */
async function shareWithWorker(language: Language): Promise<void> {
  if (!('caches' in globalThis)) return;
  const kept = await caches.match('/language', { cacheName: CACHE_NAME });
  if ((await kept?.text()) === language) return;
  await caches.delete(CACHE_NAME);
  if (language === 'en') return;
  const cache = await caches.open(CACHE_NAME);
  await cache.put('/language', new Response(language));
}

/** Begins with what was chosen on this device, else with what the browser wants. */
export async function initLanguage(): Promise<void> {
  await activate(storedLanguage() ?? negotiateLanguage(browserLanguages()));
  shareWithWorker(current.language).catch(() => undefined);
}

/** Changes the language, and keeps the choice on this device. False where its messages cannot be loaded. */
export async function setLanguage(language: Language): Promise<boolean> {
  if (!(await activate(language))) return false;
  stored.set(STORAGE_KEY, language);
  shareWithWorker(language).catch(() => undefined);
  return true;
}
