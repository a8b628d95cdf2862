// Asks for the pass phrase of an event, and keeps the grant that it gives.

import { useState } from 'react';

import { keepGrant } from '../kit/grants';
import { api } from '../kit/portal';
import { useAction } from './hooks';
import { useTitle } from './navigation';
import { ErrorNotice } from './parts';
import { Field } from './sign-in';

interface PassPhraseFormProps {
  eventId: string;
  onOpen: () => void;
}

export function PassPhraseForm({ eventId, onOpen }: PassPhraseFormProps) {
  useTitle('Pass phrase');
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
      <h1>This event has a pass phrase</h1>
      <p className="quiet">You get it from the people who make the event. Upper and lower case differ.</p>
      {error && <ErrorNotice error={error} />}
      <Field
        label="Pass phrase"
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
        {busy ? 'Checking' : 'Watch'}
      </button>
    </form>
  );
}
