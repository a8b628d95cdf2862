// One's own account: another password, an e-mail address, sign-out everywhere, one's data in a file, the end of it.

import { type ReactNode, useId, useState } from 'react';

import { account } from '../kit/account';
import { formatDateTime } from '../kit/format';
import { api } from '../kit/portal';
import type { Account } from '../kit/types';
import { useAction, useLive, useSignIn } from '../ui/hooks';
import { useTitle } from '../ui/navigation';
import { Confirm, ErrorNotice, ErrorPage, Loading } from '../ui/parts';
import { Field, SignInForm } from '../ui/sign-in';
import { FollowingPanel } from './following-panel';
import { PushPanel } from './push-panel';
import { RemindersPanel } from './reminders-panel';

const POLL_MS = 60_000;
const ROLES: Readonly<Record<Account['role'], string>> = {
  viewer: 'Viewer',
  provider: 'Provider',
  operator: 'Operator',
};

function Panel({ title, children }: { title: string; children: ReactNode }) {
  const id = useId();
  return (
    <section className="panel" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

function PasswordPanel() {
  const [present, setPresent] = useState('');
  const [next, setNext] = useState('');
  const [isDone, setIsDone] = useState(false);
  const { busy, error, run } = useAction();
  return (
    <Panel title="Password">
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          setIsDone(false);
          void run(async () => {
            await api.changePassword(present, next);
            setPresent('');
            setNext('');
            setIsDone(true);
          });
        }}
      >
        {error && <ErrorNotice error={error} />}
        <Field
          label="Current password"
          type="password"
          autoComplete="current-password"
          required
          value={present}
          onChange={setPresent}
        />
        <Field
          label="New password"
          type="password"
          autoComplete="new-password"
          required
          minLength={8}
          maxLength={256}
          note="8 characters or more. All other devices are signed out."
          value={next}
          onChange={setNext}
        />
        <div className="row">
          <button type="submit" className="button button-primary" disabled={busy}>
            Change password
          </button>
          <span role="status">{isDone ? 'Password changed' : ''}</span>
        </div>
      </form>
    </Panel>
  );
}

const EMAIL_STATES: Readonly<Record<Account['email_state'], string>> = {
  none: 'You gave no e-mail address.',
  unconfirmed: 'Open the link in the letter that we sent there. Until then this address gets no other mails.',
  usable: 'Mails go to this address.',
};

function EmailPanel({ of, onChange }: { of: Account; onChange: () => void }) {
  const [email, setEmail] = useState(of.email);
  const [password, setPassword] = useState('');
  const [done, setDone] = useState('');
  const { busy, error, run } = useAction();
  const act = (what: () => Promise<unknown>, said: string): void => {
    setDone('');
    void run(async () => {
      await what();
      setDone(said);
      onChange();
    });
  };
  return (
    <Panel title="E-mail">
      <p className="quiet">{EMAIL_STATES[of.email_state]}</p>
      {error && <ErrorNotice error={error} />}
      {of.email_state === 'unconfirmed' && (
        <div>
          <button
            type="button"
            className="button button-small"
            disabled={busy}
            onClick={() => {
              act(api.sendEmailLetter, 'Sent');
            }}
          >
            Send the letter again
          </button>
        </div>
      )}
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          act(async () => {
            await api.setEmail(email, password);
            setPassword('');
          }, 'Saved');
        }}
      >
        <Field
          label="E-mail address"
          type="email"
          autoComplete="email"
          maxLength={254}
          note="Leave it empty to remove the address."
          value={email}
          onChange={setEmail}
        />
        <Field
          label="Password, to change the address"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={setPassword}
        />
        <div className="row">
          <button type="submit" className="button" disabled={busy}>
            Save address
          </button>
          <span role="status">{done}</span>
        </div>
      </form>
    </Panel>
  );
}

function DevicesPanel() {
  const { busy, error, run } = useAction();
  return (
    <Panel title="Devices">
      <p className="quiet">Sign out of this browser and of all others, and end every token of your account.</p>
      {error && <ErrorNotice error={error} />}
      <div>
        <button
          type="button"
          className="button"
          disabled={busy}
          onClick={() =>
            void run(async () => {
              await api.signOutEverywhere();
              account.set(null);
            })
          }
        >
          Sign out everywhere
        </button>
      </div>
    </Panel>
  );
}

function DataPanel({ username }: { username: string }) {
  const [password, setPassword] = useState('');
  const [asks, setAsks] = useState(false);
  const { busy, error, run } = useAction();
  const remove = (): void => {
    void run(async () => {
      await api.deleteAccount(password);
      account.set(null);
    });
  };
  return (
    <Panel title="Your data">
      <p>
        <a href="/api/v1/me/data" download={`umbel-${username}.json`}>
          Download all your data
        </a>{' '}
        <span className="quiet">as one JSON file.</span>
      </p>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          setAsks(true);
        }}
      >
        {error && <ErrorNotice error={error} />}
        <Field
          label="Password, to delete your account"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={setPassword}
        />
        <div>
          <button type="submit" className="button button-danger" disabled={busy}>
            Delete account
          </button>
        </div>
      </form>
      {asks && (
        <Confirm
          title="Delete your account?"
          action="Delete account"
          onConfirm={remove}
          onClose={() => {
            setAsks(false);
          }}
        >
          <p>Your account and all its data are removed at once. Nobody can bring them back.</p>
        </Confirm>
      )}
    </Panel>
  );
}

function Facts({ of }: { of: Account }) {
  return (
    <dl className="facts-inline">
      <div className="fact">
        <dt>Name</dt>
        <dd>{of.username}</dd>
      </div>
      <div className="fact">
        <dt>Role</dt>
        <dd>{ROLES[of.role]}</dd>
      </div>
      {of.created_at !== null && (
        <div className="fact">
          <dt>Since</dt>
          <dd>{formatDateTime(of.created_at)}</dd>
        </div>
      )}
    </dl>
  );
}

export default function AccountPage() {
  useTitle('Account');
  const signIn = useSignIn();
  const key = signIn ? `account ${signIn.username}` : null;
  const { data, error, refresh } = useLive(key, api.account, ['user'], POLL_MS);
  if (!signIn)
    return <SignInForm title="Sign in">To plan what you will watch. You need no account to watch.</SignInForm>;
  if (error && !data) {
    return (
      <div className="page">
        <ErrorPage title="Your account cannot be shown" error={error} onRetry={refresh} />
      </div>
    );
  }
  if (!data) return <Loading what="Loading your account" />;
  return (
    <div className="page">
      <h1>Account</h1>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      <Facts of={data} />
      <div className="columns columns-even">
        <div className="stack">
          <PasswordPanel />
          <EmailPanel of={data} onChange={refresh} />
          <DevicesPanel />
          <DataPanel username={data.username} />
        </div>
        <div className="stack">
          <RemindersPanel username={data.username} />
          <PushPanel username={data.username} />
          <FollowingPanel username={data.username} />
        </div>
      </div>
    </div>
  );
}
