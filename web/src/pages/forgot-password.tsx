// Asks for an e-mail with a link for a new password. The server does not say whether there is such an account.

import { useState } from 'react';
import { rich, t } from '../i18n/t';

import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useAction } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice } from '../ui/parts';
import { Field } from '../ui/sign-in';

export default function ForgotPassword() {
  useTitle(t('forgot.title'));
  const [name, setName] = useState('');
  const [isSent, setIsSent] = useState(false);
  const { busy, error, run } = useAction();
  if (isSent) {
    return (
      <Empty isPage title={t('forgot.sent')}>
        <p>{t('forgot.sentText')}</p>
        <p>{rich('forgot.noEmail', { link: <Link to={to.account}>{t('forgot.back')}</Link> })}</p>
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
        <h1>{t('forgot.title')}</h1>
        <p className="quiet">{t('forgot.about')}</p>
        {error && <ErrorNotice error={error} />}
        <Field
          label={t('forgot.name')}
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
          {busy ? t('forgot.sending') : t('forgot.send')}
        </button>
        <p className="quiet">
          <Link to={to.account}>{t('forgot.back')}</Link>
        </p>
      </form>
    </div>
  );
}
