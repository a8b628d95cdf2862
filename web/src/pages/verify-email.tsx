// Where the link in an e-mail leads: a button, because programs open links in e-mails, too.

import { useState } from 'react';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useAction } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice } from '../ui/parts';

export default function VerifyEmail() {
  useTitle(t('verify.title'));
  const [isDone, setIsDone] = useState(false);
  const { busy, error, run } = useAction();
  const secret = location.hash.slice(1);
  if (isDone) {
    return (
      <Empty isPage title={t('verify.done')}>
        <p>
          <Link to={to.account}>{t('common.goToAccount')}</Link>
        </p>
      </Empty>
    );
  }
  return (
    <Empty isPage title={t('verify.title')}>
      {error && <ErrorNotice error={error} />}
      <button
        type="button"
        className="button button-primary"
        disabled={busy || secret === ''}
        onClick={() =>
          void run(async () => {
            await api.confirmEmail(secret);
            setIsDone(true);
          })
        }
      >
        {t('verify.confirm')}
      </button>
      {secret === '' && <p>{t('verify.incomplete')}</p>}
    </Empty>
  );
}
