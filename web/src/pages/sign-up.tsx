// Makes an account for a viewer, where the operator lets people do that.

import { useState } from 'react';

import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useAction, useLive, useSignIn } from '../ui/hooks';
import { Link, navigate, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, ErrorPage, Loading } from '../ui/parts';
import { Field, signIn } from '../ui/sign-in';

const POLL_MS = 60_000;

function SignUpForm() {
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const { busy, error, run } = useAction();
  return (
    <form
      className="panel sign-in"
      onSubmit={(event) => {
        event.preventDefault();
        void run(async () => {
          await api.signUp(username, password);
          await signIn(username, password);
          navigate(to.account);
        });
      }}
    >
      <h1>Create an account</h1>
      <p className="quiet">You need one only to plan what you will watch. To watch, you need none.</p>
      {error && <ErrorNotice error={error} />}
      <Field
        label="Name"
        name="username"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        required
        maxLength={64}
        pattern="[a-z0-9][a-z0-9._\-]*"
        title="Small letters, digits, dots, dashes and underscores; the first is a letter or a digit"
        note="Small letters, digits, . _ and -"
        value={username}
        onChange={setUsername}
      />
      <Field
        label="Password"
        name="password"
        type="password"
        autoComplete="new-password"
        required
        minLength={8}
        maxLength={256}
        note="8 characters or more"
        value={password}
        onChange={setPassword}
      />
      <button type="submit" className="button button-primary" disabled={busy}>
        {busy ? 'Creating' : 'Create account'}
      </button>
      <p className="quiet">
        You have one already? <Link to={to.account}>Sign in</Link>
      </p>
    </form>
  );
}

export default function SignUp() {
  useTitle('Create an account');
  const isSignedIn = useSignIn() !== null;
  const { data, error, refresh } = useLive('sign-up', api.signUpState, [], POLL_MS);
  if (isSignedIn) {
    return (
      <Empty isPage title="You are signed in">
        <p>
          <Link to={to.account}>Go to your account</Link>
        </p>
      </Empty>
    );
  }
  if (error && !data) {
    return (
      <div className="page">
        <ErrorPage title="Accounts cannot be created now" error={error} onRetry={refresh} />
      </div>
    );
  }
  if (!data) return <Loading what="Loading" />;
  if (!data.is_open) {
    return (
      <Empty isPage title="Accounts come from the operator">
        <p>
          Ask the operator of this platform for one. <Link to={to.account}>Sign in</Link>
        </p>
      </Empty>
    );
  }
  return (
    <div className="page">
      <SignUpForm />
    </div>
  );
}
