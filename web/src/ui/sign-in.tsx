// The sign-in form, and the fields of forms about accounts.

import { type InputHTMLAttributes, type ReactNode, useId, useState } from 'react';
import { rich, t } from '../i18n/t';

import { account } from '../kit/account';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useAction, useLive } from './hooks';
import { Link } from './navigation';
import { ErrorNotice } from './parts';

const SIGN_UP_POLL_MS = 300_000;

interface FieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, 'value' | 'onChange' | 'id'> {
  label: string;
  value: string;
  onChange: (value: string) => void;
  note?: string;
}

export function Field({ label, value, onChange, note, ...rest }: FieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        {...rest}
        id={id}
        value={value}
        aria-describedby={note ? `${id}n` : undefined}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      />
      {note && (
        <small id={`${id}n`} className="quiet">
          {note}
        </small>
      )}
    </div>
  );
}

export async function signIn(username: string, password: string): Promise<void> {
  const { username: name, expires_at } = await api.signIn(username, password);
  account.set({ username: name, expiresMs: Date.parse(expires_at) });
}

function SignUpLink() {
  const { data } = useLive('sign-up', api.signUpState, [], SIGN_UP_POLL_MS);
  if (!data?.is_open) return null;
  return <p className="quiet">{rich('signIn.new', { link: <Link to={to.signUp}>{t('signUp.title')}</Link> })}</p>;
}

export function SignInForm({ title, children }: { title: string; children: ReactNode }) {
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const { busy, error, run } = useAction();
  return (
    <form
      className="panel sign-in"
      onSubmit={(event) => {
        event.preventDefault();
        void run(() => signIn(username, password));
      }}
    >
      <h1>{title}</h1>
      <p className="quiet">{children}</p>
      {error && <ErrorNotice error={error} />}
      <Field
        label={t('common.name')}
        name="username"
        autoComplete="username"
        autoCapitalize="none"
        required
        value={username}
        onChange={setUsername}
      />
      <Field
        label={t('account.password')}
        name="password"
        type="password"
        autoComplete="current-password"
        required
        value={password}
        onChange={setPassword}
      />
      <button type="submit" className="button button-primary" disabled={busy}>
        {busy ? t('signIn.signingIn') : t('common.signIn')}
      </button>
      <p className="quiet">
        <Link to={to.forgotPassword}>{t('forgot.title')}</Link>
      </p>
      <SignUpLink />
    </form>
  );
}
