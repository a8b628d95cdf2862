import { readFileSync } from 'node:fs';

import { afterEach, describe, expect, expectTypeOf, test, vi } from 'vitest';

import { ApiError } from '../kit/api';
import { errorText } from '../kit/error-text';
import { formatBytes, formatDistance, formatMbps } from '../kit/format';
import type { PlainKey } from './catalogue';
import { german } from './de';
import { germanErrors } from './de-errors';
import { english } from './en';
import { chooseLanguage, isLanguage, LANGUAGES, localeFor, negotiate } from './language';
import type { Arguments, Faithful, Message, PlaceholdersOf } from './message';
import { formOf, splitMessage, t } from './t';

const page = { documentElement: { lang: '' } };

async function speak(language: 'en' | 'de'): Promise<void> {
  vi.stubGlobal('document', page);
  expect(await chooseLanguage(language)).toBe(true);
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
    expect(negotiate(wanted)).toBe(language);
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
    expect([1, 2, 5].map((count) => formOf(message, 'pl', count))).toEqual(['one', 'few', 'other']);
    expect([1, 2, 5].map((count) => formOf({ other: 'other' }, 'pl', count))).toEqual(['other', 'other', 'other']);
  });
});

const textsOf = (message: Message): string[] => (typeof message === 'string' ? [message] : Object.values(message));
const namesOf = (text: string): string[] => [...new Set(splitMessage(text).filter((_, n) => n % 2 === 1))].sort();

describe('a translation', () => {
  const pairs = Object.entries(german.messages).map(([key, message]) => ({
    key,
    message,
    original: (english as Readonly<Record<string, Message>>)[key],
  }));

  test('has every message, with the placeholders of the English one', () => {
    expect(pairs.map(({ key }) => key).sort()).toEqual(Object.keys(english).sort());
    const wrong = pairs.filter(({ message, original }) => {
      const wanted = textsOf(original ?? '').flatMap(namesOf);
      return textsOf(message).some((text) => namesOf(text).some((name) => !wanted.includes(name)));
    });
    expect(wrong).toEqual([]);
  });

  test('has a text in every plural form of its language', () => {
    const forms = new Intl.PluralRules('de').resolvedOptions().pluralCategories;
    const plural = pairs.filter(({ message }) => typeof message !== 'string');
    expect(plural.length).toBeGreaterThan(5);
    for (const { key, message } of plural) expect(Object.keys(message).sort(), key).toEqual([...forms].sort());
  });

  test('has no empty text, and no braces but those of placeholders', () => {
    for (const { key, message, original } of pairs) {
      for (const text of [...textsOf(message), ...textsOf(original ?? '')]) {
        expect(text.trim(), key).not.toBe('');
        expect(text.replace(/\{\w+\}/g, ''), key).not.toMatch(/[{}]/);
      }
    }
  });

  test('is in the service worker, and has a page for no network', () => {
    const worker = readFileSync(new URL('../../public/sw.js', import.meta.url), 'utf8');
    for (const language of Object.keys(LANGUAGES).filter((one) => one !== 'en')) {
      expect(worker).toContain(`  ${language}: { live: `);
      const page = readFileSync(new URL(`../../public/offline.${language}.html`, import.meta.url), 'utf8');
      expect(page).toContain(`<html lang="${language}">`);
    }
  });

  test('names errors that the platform has', () => {
    const known = readFileSync(new URL('../../../scripts/advice.toml', import.meta.url), 'utf8');
    expect(Object.keys(germanErrors).filter((code) => !known.includes(`"${code}"`))).toEqual([]);
  });
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
