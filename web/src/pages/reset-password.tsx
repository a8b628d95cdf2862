// Where the link in a letter leads: a form for the new password, because programs open links in letters, too.

import { useState } from 'react';

import { account } from '../kit/account';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useAction } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice } from '../ui/parts';
import { Field } from '../ui/sign-in';

export default function ResetPassword() {
  useTitle('Choose a new password');
  const [password, setPassword] = useState('');
  const [isDone, setIsDone] = useState(false);
  const { busy, error, run } = useAction();
  const secret = location.hash.slice(1);
  if (isDone) {
    return (
      <Empty isPage title="Your password is changed">
        <p>
          All your devices are signed out. <Link to={to.account}>Sign in with the new password</Link>
        </p>
      </Empty>
    );
  }
  if (secret === '') {
    return (
      <Empty isPage title="This link is not complete">
        <p>
          Copy all of it from the letter, or <Link to={to.forgotPassword}>ask for another one</Link>.
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
            await api.resetPassword(secret, password);
            account.set(null);
            setIsDone(true);
          });
        }}
      >
        <h1>Choose a new password</h1>
        {error && <ErrorNotice error={error} />}
        <Field
          label="New password"
          name="password"
          type="password"
          autoComplete="new-password"
          required
          minLength={8}
          maxLength={256}
          note="8 characters or more. All your devices are signed out."
          value={password}
          onChange={setPassword}
        />
        <button type="submit" className="button button-primary" disabled={busy}>
          {busy ? 'Changing' : 'Change password'}
        </button>
        {error && (
          <p className="quiet">
            <Link to={to.forgotPassword}>Ask for another letter</Link>
          </p>
        )}
      </form>
    </div>
  );
}
