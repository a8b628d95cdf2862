// Where the link in an e-mail leads: a form for the new password, because programs open links in e-mails, too.

import { useState } from 'react';
import { rich, t } from '../i18n/t';

import { account } from '../kit/account';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useAction } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice } from '../ui/parts';
import { Field } from '../ui/sign-in';

export default function ResetPassword() {
  useTitle(t('reset.title'));
  const [password, setPassword] = useState('');
  const [isDone, setIsDone] = useState(false);
  const { busy, error, run } = useAction();
  const secret = location.hash.slice(1);
  if (isDone) {
    return (
      <Empty isPage title={t('reset.done')}>
        <p>{rich('reset.doneText', { link: <Link to={to.account}>{t('reset.signIn')}</Link> })}</p>
      </Empty>
    );
  }
  if (secret === '') {
    return (
      <Empty isPage title={t('reset.incomplete')}>
        <p>{rich('reset.incompleteText', { link: <Link to={to.forgotPassword}>{t('reset.askAgain')}</Link> })}</p>
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
        <h1>{t('reset.title')}</h1>
        {error && <ErrorNotice error={error} />}
        <Field
          label={t('account.newPassword')}
          name="password"
          type="password"
          autoComplete="new-password"
          required
          minLength={8}
          maxLength={256}
          note={t('reset.note')}
          value={password}
          onChange={setPassword}
        />
        <button type="submit" className="button button-primary" disabled={busy}>
          {busy ? t('reset.changing') : t('reset.change')}
        </button>
        {error && (
          <p className="quiet">
            <Link to={to.forgotPassword}>{t('reset.askEmail')}</Link>
          </p>
        )}
      </form>
    </div>
  );
}
