// An error as text for people, in the language of the page.

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

export function errorText(error: ApiError): string {
  if (error.code === 'umbel.timeout') return t('error.timeout');
  if (error.code === 'umbel.unreachable') return t('error.unreachable');
  if (error.code === 'umbel.not_json') return t('error.notJson');
  return serverText(error.code, error.message) || t('error.status', { status: String(error.status) });
}
