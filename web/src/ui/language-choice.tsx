// The choice of the page's language, each by its own name. It is kept on this device.

import { useId, useState } from 'react';

import { isLanguage, LANGUAGES, setLanguage } from '../i18n/language';
import { t, useLanguage } from '../i18n/t';

/** Each language by its own name. */
export function LanguageOptions() {
  return Object.entries(LANGUAGES).map(([code, { name }]) => (
    <option key={code} value={code} lang={code}>
      {name}
    </option>
  ));
}

export function LanguageChoice() {
  const id = useId();
  const language = useLanguage();
  const [failed, setFailed] = useState(false);
  const choose = async (wanted: string): Promise<void> => {
    setFailed(isLanguage(wanted) && !(await setLanguage(wanted)));
  };
  return (
    <div className="language">
      {/* First, so that while it is empty the choice ends where the page does. */}
      <span role="status">{failed ? t('app.languageFailed') : ''}</span>
      <label htmlFor={id}>{t('app.language')}</label>
      <select
        id={id}
        value={language}
        onChange={(event) => {
          void choose(event.target.value);
        }}
      >
        <LanguageOptions />
      </select>
    </div>
  );
}
