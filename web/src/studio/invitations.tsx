// The accounts that may watch an event by invitation: its provider adds and removes names.

import { useId, useRef, useState } from 'react';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import { useAction, useLive } from '../ui/hooks';
import { ErrorNotice, Loading } from '../ui/parts';

const POLL_MS = 30_000;

/** The names of a text: they are separated by spaces, commas or lines. */
export function namesIn(text: string): string[] {
  return [
    ...new Set(
      text
        .toLowerCase()
        .split(/[\s,;]+/)
        .filter((name) => name !== ''),
    ),
  ];
}

export function Invitations({ eventId }: { eventId: string }) {
  const id = useId();
  const { data, error, refresh } = useLive(`invitations ${eventId}`, () => api.invitations(eventId), [], POLL_MS);
  const [typed, setTyped] = useState('');
  const action = useAction();
  const field = useRef<HTMLTextAreaElement>(null);
  const save = (usernames: string[]): void => {
    void action.run(async () => {
      await api.invite(eventId, usernames);
      setTyped('');
      refresh();
    });
  };
  const names = data?.usernames ?? [];
  return (
    <section className="panel" aria-labelledby={`${id}h`}>
      <h2 id={`${id}h`}>{t('invite.heading')}</h2>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      {!data && !error && <Loading what={t('invite.loading')} />}
      {data && names.length === 0 && <p className="quiet">{t('invite.none')}</p>}
      {names.length > 0 && (
        <ul className="names">
          {names.map((name) => (
            <li key={name}>
              <span>{name}</span>
              <button
                type="button"
                className="button button-small"
                disabled={action.busy}
                aria-label={t('common.removeNamed', { name })}
                onClick={() => {
                  save(names.filter((one) => one !== name));
                }}
              >
                {t('common.remove')}
              </button>
            </li>
          ))}
        </ul>
      )}
      <form
        className="stack"
        onSubmit={(submitted) => {
          submitted.preventDefault();
          const added = namesIn(typed);
          if (added.length > 0) save([...new Set([...names, ...added])]);
          // The button is disabled next, and the field is there for the next name.
          field.current?.focus();
        }}
      >
        <div className="field">
          <label htmlFor={`${id}n`}>{t('invite.names')}</label>
          <textarea
            ref={field}
            id={`${id}n`}
            rows={2}
            spellCheck={false}
            autoCapitalize="none"
            value={typed}
            onChange={(event) => {
              setTyped(event.target.value);
            }}
          />
        </div>
        <button type="submit" className="button" disabled={action.busy || !data || namesIn(typed).length === 0}>
          {t('invite.invite')}
        </button>
      </form>
    </section>
  );
}
