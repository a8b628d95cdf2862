import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';

import { afterEach, describe, expect, expectTypeOf, test, vi } from 'vitest';

import { ApiError } from '../kit/api';
import { errorText } from '../kit/error-text';
import { formatBytes, formatDistance, formatMbps, formatSpent } from '../kit/format';
import type { PlainKey } from './catalogue';
import { english } from './en';
import { isLanguage, LANGUAGES, localeFor, negotiateLanguage, setLanguage } from './language';
import type { Arguments, Faithful, Message, PlaceholdersOf } from './message';
import { selectPlural, splitPlaceholders, t } from './t';

const page = { documentElement: { lang: '' } };

async function speak(language: string): Promise<void> {
  vi.stubGlobal('document', page);
  expect(isLanguage(language) && (await setLanguage(language))).toBe(true);
}

afterEach(async () => {
  await speak('en');
  vi.unstubAllGlobals();
});

describe('which language', () => {
  test.each([
    [['de-AT', 'en'], 'de'],
    [['fr', 'de'], 'de'],
    [['en-GB', 'de'], 'en'],
    [['fr-CA', 'it'], 'en'],
    [['constructor', '', 'DE'], 'de'],
    [[], 'en'],
  ])('%j wants %s', (wanted, language) => {
    expect(negotiateLanguage(wanted)).toBe(language);
  });

  test('numbers and dates are those of the browser’s own country', () => {
    expect(localeFor('de', ['fr', 'de-AT', 'de'])).toBe('de-AT');
    expect(localeFor('de', ['en-US'])).toBe('de');
  });

  test('what was kept may be anything', () => {
    expect([null, '', 'tlh', 'toString', 'de'].map(isLanguage)).toEqual([false, false, false, false, true]);
  });
});

describe('messages', () => {
  test('numbers, plurals and errors change with the language', async () => {
    const now = Date.parse('2030-06-10T20:00:00Z');
    const said = (): string[] => [
      t('number.viewers', { count: 1 }),
      t('number.viewers', { count: 1234 }),
      formatDistance('2030-06-13T20:00:00Z', now),
      formatMbps(2.5),
      formatBytes(1_500_000),
      errorText(new ApiError(403, 'umbel.wrong_password', 'The current password is wrong.')),
      errorText(new ApiError(400, 'umbel.never_heard_of', 'The flux is inverted.')),
      errorText(new ApiError(0, 'umbel.timeout')),
    ];
    expect(said()).toEqual([
      '1 viewer',
      '1,234 viewers',
      'in 3 days',
      '2.5 Mbit/s',
      '1.5 MB',
      'The current password is wrong.',
      'The flux is inverted.',
      'The server took too long to answer.',
    ]);
    await speak('de');
    expect(page.documentElement.lang).toBe('de');
    expect(said()).toEqual([
      '1 Zuschauer',
      '1.234 Zuschauer',
      'in 3 Tagen',
      '2,5 Mbit/s',
      '1,5 MB',
      'Das aktuelle Passwort ist falsch.',
      'The flux is inverted.',
      'Der Server hat nicht rechtzeitig geantwortet.',
    ]);
  });

  test('a value that looks like a placeholder is text', () => {
    expect(t('app.language')).toBe('Language');
    expect(t('discover.nothingFound', { query: '{query} $& {x}' })).toBe('Nothing found for “{query} $& {x}”');
  });

  test('a form that a language does not have is `other`', () => {
    const message = { one: 'one', few: 'few', other: 'other' };
    expect([1, 2, 5].map((count) => selectPlural(message, 'pl', count))).toEqual(['one', 'few', 'other']);
    expect([1, 2, 5].map((count) => selectPlural({ other: 'other' }, 'pl', count))).toEqual([
      'other',
      'other',
      'other',
    ]);
  });
});

const textsOf = (message: Message): string[] => (typeof message === 'string' ? [message] : Object.values(message));
const namesOf = (text: string): string[] => [...new Set(splitPlaceholders(text).filter((_, n) => n % 2 === 1))].sort();

const originals: Readonly<Record<string, Message>> = english;
const codes = Object.keys(LANGUAGES).filter(isLanguage);
const translations = await Promise.all(
  Object.entries(LANGUAGES).flatMap(([code, { load }]) =>
    load === null ? [] : [load().then(({ messages, errors }) => ({ code, messages, errors }))],
  ),
);
const catalogues = [
  { code: 'en', messages: originals },
  ...translations.map(({ code, messages }) => ({ code, messages: messages as Readonly<Record<string, Message>> })),
];

describe.each(translations)('the translation $code', ({ code, messages, errors }) => {
  const pairs = Object.entries(messages).map(([key, message]) => ({ key, message, original: originals[key] }));

  test('has every message, with the placeholders of the English one', () => {
    expect(pairs.map(({ key }) => key).sort()).toEqual(Object.keys(english).sort());
    const wrong = pairs.filter(({ message, original }) => {
      const wanted = textsOf(original ?? '').flatMap(namesOf);
      return textsOf(message).some((text) => namesOf(text).some((name) => !wanted.includes(name)));
    });
    expect(wrong).toEqual([]);
  });

  test('has a text in every plural form of its language', () => {
    const forms = new Intl.PluralRules(code).resolvedOptions().pluralCategories;
    const plural = pairs.filter(({ message }) => typeof message !== 'string');
    expect(plural.length).toBeGreaterThan(5);
    for (const { key, message } of plural) expect(Object.keys(message).sort(), key).toEqual([...forms].sort());
  });

  test('names errors that the platform has', () => {
    const known = readFileSync(new URL('../../../scripts/advice.toml', import.meta.url), 'utf8');
    expect(Object.keys(errors).length).toBeGreaterThan(50);
    expect(Object.keys(errors).filter((error) => !known.includes(`"${error}"`))).toEqual([]);
  });

  test('has a text of its own for what the browser finds wrong', async () => {
    const browserErrors = ['timeout', 'unreachable', 'not_json', 'picture_type', 'picture_unreadable'];
    const texts = (): string[] => browserErrors.map((name) => errorText(new ApiError(0, `umbel.${name}`)));
    const inEnglish = texts();
    await speak(code);
    const own = texts();
    expect(new Set(own).size).toBe(browserErrors.length);
    expect(own.filter((text) => inEnglish.includes(text))).toEqual([]);
  });
});

describe.each(catalogues)('the catalogue $code', ({ code, messages }) => {
  const texts = Object.entries(messages).flatMap(([key, message]) => textsOf(message).map((text) => ({ key, text })));

  test('has no empty text, and no braces but those of placeholders', () => {
    for (const { key, text } of texts) {
      expect(text.trim(), key).not.toBe('');
      expect(text.replace(/\{\w+\}/g, ''), key).not.toMatch(/[{}]/);
    }
  });

  test('names a button in a sentence by a placeholder, so that both are the same', () => {
    const known = new Set(texts.map(({ text }) => text));
    const quoted = texts.flatMap(({ key, text }) =>
      [...text.matchAll(/[“„«]([^“”„«»{}]+)[”“»]/g)].map(([, name = '']) => ({ key, name })),
    );
    expect(quoted.length).toBeGreaterThan(0);
    expect(quoted.filter(({ name }) => known.has(name))).toEqual([]);
  });

  test('ends a sentence that ends with a time by one full stop', async () => {
    await speak(code);
    const now = Date.parse('2030-06-10T20:00:00Z');
    const distances = [0, 5, 100, 3000].flatMap((minutes) =>
      [minutes, -minutes].map((shift) => formatDistance(new Date(now + shift * 60_000).toISOString(), now)),
    );
    const spent = [10, 600, 3600, 5400].map(formatSpent);
    const ends = [...distances, ...spent].map((distance) => t('discover.next', { event: 'A', distance }).slice(-2));
    expect(ends.filter((end) => end === '..')).toEqual([]);
  });
});

interface Worker {
  TEXTS: Readonly<Record<string, Readonly<Record<string, string>>>>;
  format: (message: string, values: Readonly<Record<string, string>>) => string;
}

test('the service worker has each language, and fills its page for no network', () => {
  const read = (name: string): string => readFileSync(new URL(`../../public/${name}`, import.meta.url), 'utf8');
  const globals = { self: { addEventListener: () => undefined } };
  const { TEXTS, format } = runInNewContext(`${read('sw.js')}; ({ TEXTS, format })`, globals) as Worker;
  expect(Object.keys(TEXTS).sort()).toEqual([...codes].sort());
  const page = read('offline.html');
  const names = Object.keys(TEXTS['en'] ?? {}).sort();
  for (const code of codes) {
    const own = TEXTS[code] ?? {};
    expect(Object.keys(own).sort(), code).toEqual(names);
    expect(namesOf(own['begins'] ?? '')).toEqual(['when']);
    const filled = format(page, { lang: code, ...own });
    expect(filled).toContain(`<html lang="${code}">`);
    expect(filled).toContain(`<h1>${own['title'] ?? ''}</h1>`);
    expect(namesOf(filled)).toEqual([]);
  }
});

// What the compiler holds a translation to. These are checked by `npm run types`.
test('types', () => {
  expectTypeOf<PlaceholdersOf<'{a} and {b}'>>().toEqualTypeOf<'a' | 'b'>();
  expectTypeOf<Arguments<'nothing', string>>().toEqualTypeOf<[]>();
  expectTypeOf<Faithful<'Hello {name}', 'Hallo {name}'>>().toEqualTypeOf<'Hallo {name}'>();
  expectTypeOf<'Hallo'>().not.toExtend<Faithful<'Hello {name}', 'Hallo'>>();
  expectTypeOf<'Hallo {nam}'>().not.toExtend<Faithful<'Hello {name}', 'Hallo {nam}'>>();
  type Days = { one: '1 day'; other: '{count} days' };
  type Good = { one: 'ein Tag'; other: '{count} Tage' };
  type Bad = { one: 'ein Tag'; other: 'Tage' };
  expectTypeOf<Good>().toExtend<Faithful<Days, Good>>();
  expectTypeOf<Bad>().not.toExtend<Faithful<Days, Bad>>();
  expectTypeOf<'Tage'>().not.toExtend<Faithful<Days, 'Tage'>>();
  expectTypeOf<'number.viewers'>().not.toExtend<PlainKey>();
  // @ts-expect-error: the placeholder is missing
  const unformatted = (): string => t('discover.nothingFound', {});
  // @ts-expect-error: there is no such message
  const unknown = (): string => t('discover.unknown');
  expect([unformatted, unknown]).toHaveLength(2);
});
