// The sign-in form, and a frame that shows its content to providers and operators only.

import { type ReactNode, useId, useState } from 'react';

import { account } from '../kit/account';
import { ApiError } from '../kit/api';
import { api } from '../kit/portal';
import type { Me } from '../kit/types';
import { useAction, useLive, useSignIn } from '../ui/hooks';
import { Empty, ErrorNotice, ErrorPage, Loading } from '../ui/parts';

export function SignInForm({ title, children }: { title: string; children: ReactNode }) {
  const id = useId();
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const { busy, error, run } = useAction();
  const submit = (): Promise<void> =>
    run(async () => {
      const { username: name, expires_at } = await api.signIn(username, password);
      account.set({ username: name, expiresMs: Date.parse(expires_at) });
    });
  return (
    <form
      className="panel sign-in"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <h1>{title}</h1>
      <p className="quiet">{children}</p>
      {error && <ErrorNotice error={error} />}
      <div className="field">
        <label htmlFor={`${id}u`}>Name</label>
        <input
          id={`${id}u`}
          name="username"
          autoComplete="username"
          autoCapitalize="none"
          required
          value={username}
          onChange={(event) => {
            setUsername(event.target.value);
          }}
        />
      </div>
      <div className="field">
        <label htmlFor={`${id}p`}>Password</label>
        <input
          id={`${id}p`}
          name="password"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => {
            setPassword(event.target.value);
          }}
        />
      </div>
      <button type="submit" className="button button-primary" disabled={busy}>
        {busy ? 'Signing in' : 'Sign in'}
      </button>
    </form>
  );
}

const ME_POLL_MS = 300_000;

/** The user, if they may publish. A refusal ends the reading (useLive): nothing changes until another sign-in. */
async function publisher(): Promise<Me> {
  const me = await api.me();
  if (me.role === 'viewer') throw new ApiError(403, 'umbel.forbidden', 'This account can watch, but not publish.');
  return me;
}

/** Shows `children` to providers and operators, and to others what to do. */
export function ForProviders({ children }: { children: (me: Me) => ReactNode }) {
  const signIn = useSignIn();
  const {
    data: me,
    error,
    refresh,
  } = useLive(signIn ? `me ${signIn.username}` : null, publisher, ['user'], ME_POLL_MS);
  if (!signIn) {
    return (
      <SignInForm title="Sign in to the studio">For providers and operators. You need no account to watch.</SignInForm>
    );
  }
  if (error?.status === 403) {
    return (
      <Empty isPage title="This account can watch, but not publish">
        <p>Ask the operator to make {signIn.username} a provider.</p>
      </Empty>
    );
  }
  if (error && !me) return <ErrorPage title="The studio cannot be shown" error={error} onRetry={refresh} />;
  if (!me) return <Loading what="Loading the studio" />;
  return <>{children(me)}</>;
}
