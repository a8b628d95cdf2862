// Asks for the pass phrase of an event, and keeps the grant that it gives.

import { useState } from 'react';
import { t } from '../i18n/t';

import { keepGrant } from '../kit/grants';
import { api } from '../kit/portal';
import { useAction } from './hooks';
import { useTitle } from './navigation';
import { ErrorNotice } from './parts';
import { Field } from './sign-in';

interface PassPhraseFormProps {
  eventId: string;
  /** Whether they watched until the phrase was set or changed. */
  wasOpen: boolean;
  onOpen: () => void;
}

export function PassPhraseForm({ eventId, wasOpen, onOpen }: PassPhraseFormProps) {
  useTitle(t('visibility.passPhrase'));
  const [phrase, setPhrase] = useState('');
  const { busy, error, run } = useAction();
  return (
    <form
      className="panel sign-in"
      onSubmit={(submitted) => {
        submitted.preventDefault();
        void run(async () => {
          keepGrant(eventId, await api.unlockEvent(eventId, phrase));
          onOpen();
        });
      }}
    >
      <h1>{t('passPhrase.heading')}</h1>
      {wasOpen && <p role="status">{t('passPhrase.changed')}</p>}
      <p className="quiet">{t('passPhrase.about')}</p>
      {error && <ErrorNotice error={error} />}
      <Field
        label={t('visibility.passPhrase')}
        name="pass_phrase"
        type="password"
        autoComplete="off"
        autoCapitalize="none"
        maxLength={512}
        required
        value={phrase}
        onChange={setPhrase}
      />
      <button type="submit" className="button button-primary" disabled={busy}>
        {busy ? t('passPhrase.checking') : t('watch.title')}
      </button>
    </form>
  );
}
