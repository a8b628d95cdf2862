// Asks for a letter with a link for a new password. The server does not say whether there is such an account.

import { useState } from 'react';

import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useAction } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice } from '../ui/parts';
import { Field } from '../ui/sign-in';

export default function ForgotPassword() {
  useTitle('Forgot your password?');
  const [name, setName] = useState('');
  const [isSent, setIsSent] = useState(false);
  const { busy, error, run } = useAction();
  if (isSent) {
    return (
      <Empty isPage title="Look into your mails">
        <p>If there is such an account with an e-mail address, a letter is on its way. Its link works for an hour.</p>
        <p>
          No letter? An account without an address gets none: ask the operator of this platform.{' '}
          <Link to={to.account}>Back to the sign-in</Link>
        </p>
      </Empty>
    );
  }
  return (
    <div className="page">
      <form
        className="panel sign-in"
        onSubmit={(event) => {
          event.preventDefault();
          void run(async () => {
            await api.askForPassword(name);
            setIsSent(true);
          });
        }}
      >
        <h1>Forgot your password?</h1>
        <p className="quiet">A letter with a link to choose a new one goes to the address in your account.</p>
        {error && <ErrorNotice error={error} />}
        <Field
          label="Name or e-mail address"
          name="username"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
          maxLength={254}
          value={name}
          onChange={setName}
        />
        <button type="submit" className="button button-primary" disabled={busy}>
          {busy ? 'Sending' : 'Send the letter'}
        </button>
        <p className="quiet">
          <Link to={to.account}>Back to the sign-in</Link>
        </p>
      </form>
    </div>
  );
}
