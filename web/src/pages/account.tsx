// One's own account: another password, an e-mail address, sign-out everywhere, one's data in a file, the end of it.

import { type ReactNode, useId, useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { isLanguage, type Language } from '../i18n/language';
import { t } from '../i18n/t';

import { account } from '../kit/account';
import { formatDateTime } from '../kit/format';
import { api } from '../kit/portal';
import type { Account } from '../kit/types';
import { useAction, useLive, useSignIn } from '../ui/hooks';
import { LanguageOptions } from '../ui/language-choice';
import { useTitle } from '../ui/navigation';
import { Confirm, ErrorNotice, ErrorPage, Loading } from '../ui/parts';
import { Field, SignInForm } from '../ui/sign-in';
import { FollowingPanel } from './following-panel';
import { PushPanel } from './push-panel';
import { RemindersPanel } from './reminders-panel';

const POLL_MS = 60_000;
const ROLES: Readonly<Record<Account['role'], PlainKey>> = {
  viewer: 'role.viewer',
  provider: 'role.provider',
  operator: 'role.operator',
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
    <Panel title={t('account.password')}>
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
          label={t('account.currentPassword')}
          type="password"
          autoComplete="current-password"
          required
          value={present}
          onChange={setPresent}
        />
        <Field
          label={t('account.newPassword')}
          type="password"
          autoComplete="new-password"
          required
          minLength={8}
          maxLength={256}
          note={t('account.passwordNote')}
          value={next}
          onChange={setNext}
        />
        <div className="row">
          <button type="submit" className="button button-primary" disabled={busy}>
            {t('account.changePassword')}
          </button>
          <span role="status">{isDone ? t('account.passwordChanged') : ''}</span>
        </div>
      </form>
    </Panel>
  );
}

const EMAIL_STATES: Readonly<Record<Account['email_state'], PlainKey>> = {
  none: 'account.noEmail',
  unconfirmed: 'account.emailUnconfirmed',
  usable: 'account.emailConfirmed',
};

interface EmailLanguageProps {
  chosen: Language;
  disabled: boolean;
  onChoose: (language: Language) => void;
}

function EmailLanguage({ chosen, disabled, onChoose }: EmailLanguageProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{t('account.emailLanguage')}</label>
      <select
        id={id}
        value={chosen}
        disabled={disabled}
        onChange={({ target }) => {
          if (isLanguage(target.value)) onChoose(target.value);
        }}
      >
        <LanguageOptions />
      </select>
    </div>
  );
}

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
    <Panel title={t('account.email')}>
      <p className="quiet">{t(EMAIL_STATES[of.email_state])}</p>
      {error && <ErrorNotice error={error} />}
      {of.email_state === 'unconfirmed' && (
        <div>
          <button
            type="button"
            className="button button-small"
            disabled={busy}
            onClick={() => {
              act(api.sendEmailLetter, t('account.sent'));
            }}
          >
            {t('account.sendAgain')}
          </button>
        </div>
      )}
      <EmailLanguage
        chosen={of.language}
        disabled={busy}
        onChoose={(language) => {
          act(() => api.setEmailLanguage(language), t('common.saved'));
        }}
      />
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          act(async () => {
            await api.setEmail(email, password);
            setPassword('');
          }, t('common.saved'));
        }}
      >
        <Field
          label={t('account.emailAddress')}
          type="email"
          autoComplete="email"
          maxLength={254}
          note={t('account.emailNote')}
          value={email}
          onChange={setEmail}
        />
        <Field
          label={t('account.passwordForEmail')}
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={setPassword}
        />
        <div className="row">
          <button type="submit" className="button" disabled={busy}>
            {t('account.saveAddress')}
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
    <Panel title={t('account.devices')}>
      <p className="quiet">{t('account.everywhereText')}</p>
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
          {t('account.everywhere')}
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
    <Panel title={t('account.data')}>
      <p>
        <a href="/api/v1/me/data" download={`umbel-${username}.json`}>
          {t('account.download')}
        </a>{' '}
        <span className="quiet">{t('account.asJson')}</span>
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
          label={t('account.passwordForDelete')}
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={setPassword}
        />
        <div>
          <button type="submit" className="button button-danger" disabled={busy}>
            {t('account.delete')}
          </button>
        </div>
      </form>
      {asks && (
        <Confirm
          title={t('account.deleteConfirm')}
          action={t('account.delete')}
          onConfirm={remove}
          onClose={() => {
            setAsks(false);
          }}
        >
          <p>{t('account.deleteText')}</p>
        </Confirm>
      )}
    </Panel>
  );
}

function Facts({ of }: { of: Account }) {
  return (
    <dl className="facts-inline">
      <div className="fact">
        <dt>{t('common.name')}</dt>
        <dd>{of.username}</dd>
      </div>
      <div className="fact">
        <dt>{t('common.role')}</dt>
        <dd>{t(ROLES[of.role])}</dd>
      </div>
      {of.created_at !== null && (
        <div className="fact">
          <dt>{t('account.since')}</dt>
          <dd>{formatDateTime(of.created_at)}</dd>
        </div>
      )}
    </dl>
  );
}

export default function AccountPage() {
  useTitle(t('account.title'));
  const signIn = useSignIn();
  const key = signIn ? `account ${signIn.username}` : null;
  const { data, error, refresh } = useLive(key, api.account, ['user'], POLL_MS);
  if (!signIn) return <SignInForm title={t('common.signIn')}>{t('account.signInText')}</SignInForm>;
  if (error && !data) {
    return (
      <div className="page">
        <ErrorPage title={t('account.cannotShow')} error={error} onRetry={refresh} />
      </div>
    );
  }
  if (!data) return <Loading what={t('account.loading')} />;
  return (
    <div className="page">
      <h1>{t('account.title')}</h1>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      <Facts of={data} />
      <div className="columns columns-even">
        <div className="stack">
          <RemindersPanel username={data.username} />
          <PushPanel username={data.username} />
          <FollowingPanel username={data.username} />
        </div>
        <div className="stack">
          <PasswordPanel />
          <EmailPanel of={data} onChange={refresh} />
          <DevicesPanel />
          <DataPanel username={data.username} />
        </div>
      </div>
    </div>
  );
}
