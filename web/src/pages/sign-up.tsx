// Makes an account for a viewer, where the operator lets people do that.

import { useState } from 'react';
import { currentLanguage } from '../i18n/language';
import { rich, t } from '../i18n/t';

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
          await api.signUp(username, password, currentLanguage());
          await signIn(username, password);
          navigate(to.account);
        });
      }}
    >
      <h1>{t('signUp.title')}</h1>
      <p className="quiet">{t('signUp.about')}</p>
      {error && <ErrorNotice error={error} />}
      <Field
        label={t('common.name')}
        name="username"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        required
        maxLength={64}
        pattern="[a-z0-9][a-z0-9._\-]*"
        title={t('signUp.nameRule')}
        note={t('signUp.nameNote')}
        value={username}
        onChange={setUsername}
      />
      <Field
        label={t('account.password')}
        name="password"
        type="password"
        autoComplete="new-password"
        required
        minLength={8}
        maxLength={256}
        note={t('signUp.passwordNote')}
        value={password}
        onChange={setPassword}
      />
      <button type="submit" className="button button-primary" disabled={busy}>
        {busy ? t('signUp.creating') : t('signUp.create')}
      </button>
      <p className="quiet">{rich('signUp.haveOne', { link: <Link to={to.account}>{t('common.signIn')}</Link> })}</p>
    </form>
  );
}

export default function SignUp() {
  useTitle(t('signUp.title'));
  const isSignedIn = useSignIn() !== null;
  const { data, error, refresh } = useLive('sign-up', api.signUpState, [], POLL_MS);
  if (isSignedIn) {
    return (
      <Empty isPage title={t('signUp.signedIn')}>
        <p>
          <Link to={to.account}>{t('common.goToAccount')}</Link>
        </p>
      </Empty>
    );
  }
  if (error && !data) {
    return (
      <div className="page">
        <ErrorPage title={t('signUp.closed')} error={error} onRetry={refresh} />
      </div>
    );
  }
  if (!data) return <Loading what={t('common.loading')} />;
  if (!data.is_open) {
    return (
      <Empty isPage title={t('signUp.byOperator')}>
        <p>{rich('signUp.askOperator', { link: <Link to={to.account}>{t('common.signIn')}</Link> })}</p>
      </Empty>
    );
  }
  return (
    <div className="page">
      <SignUpForm />
    </div>
  );
}
