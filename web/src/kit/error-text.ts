// An error as text for people, in the language of the page.

import type { PlainKey } from '../i18n/catalogue';
import { currentTranslation } from '../i18n/language';
import { t } from '../i18n/t';
import type { ApiError } from './api';

const has = <T extends object>(of: T, key: PropertyKey): key is keyof T => Object.hasOwn(of, key);

/**
 * What a server said: by its code in the page's language, as far as that has a text for it; else the server's own
 * English, which is more exact.
 */
export function serverText(code: string, message: string): string {
  const errors = currentTranslation()?.errors;
  return errors && has(errors, code) ? errors[code] : message;
}

/** What the browser itself finds wrong, by the code that `ApiError` has for it; no server sends these. */
const BROWSER_ERRORS = {
  'umbel.timeout': 'error.timeout',
  'umbel.unreachable': 'error.unreachable',
  'umbel.not_json': 'error.notJson',
  'umbel.picture_type': 'error.pictureType',
  'umbel.picture_unreadable': 'error.pictureUnreadable',
} as const satisfies Readonly<Record<string, PlainKey>>;

export type BrowserErrorCode = keyof typeof BROWSER_ERRORS;

export function errorText(error: ApiError): string {
  if (has(BROWSER_ERRORS, error.code)) return t(BROWSER_ERRORS[error.code]);
  return serverText(error.code, error.message) || t('error.status', { status: String(error.status) });
}
