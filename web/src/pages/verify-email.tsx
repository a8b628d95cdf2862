// Where the link in a letter leads: a button, because programs open links in letters, too.

import { useState } from 'react';

import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useAction } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice } from '../ui/parts';

export default function VerifyEmail() {
  useTitle('Confirm your e-mail address');
  const [isDone, setIsDone] = useState(false);
  const { busy, error, run } = useAction();
  const secret = location.hash.slice(1);
  if (isDone) {
    return (
      <Empty isPage title="Your e-mail address is confirmed">
        <p>
          <Link to={to.account}>Go to your account</Link>
        </p>
      </Empty>
    );
  }
  return (
    <Empty isPage title="Confirm your e-mail address">
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
        Confirm
      </button>
      {secret === '' && <p>This link is not complete. Copy all of it from the letter.</p>}
    </Empty>
  );
}
