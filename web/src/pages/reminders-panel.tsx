// When and how to be reminded of all reservations, in the account.

import { useId, useState } from 'react';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import type { Reminders } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { ErrorNotice, Loading } from '../ui/parts';
import { ReminderFields } from '../ui/reminder-fields';

const POLL_MS = 300_000;

/** What the form is filled with, unseen, while the choice is read: it then takes the room that it will need. */
const UNREAD: Reminders = { leads_s: [3_600], channels: ['page'], time_zone: 'UTC', live: true };

/** The zone of the browser, in which letters then say when an event begins. */
const zoneHere = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;

export function RemindersPanel({ username }: { username: string }) {
  const id = useId();
  const { data, error, refresh } = useLive(`reminders ${username}`, api.reminders, [], POLL_MS);
  const [draft, setDraft] = useState<Reminders | null>(null);
  const [done, setDone] = useState('');
  const action = useAction();
  const value = draft ?? data;
  const isUnread = value === null && !error;
  const shown = value ?? UNREAD;
  const save = (chosen: Reminders): void => {
    setDone('');
    void action.run(async () => {
      await api.chooseReminders({ ...chosen, time_zone: zoneHere() });
      setDone(t('common.saved'));
      setDraft(null);
      refresh();
    });
  };
  return (
    <section className="panel reminders-panel" aria-labelledby={id} aria-busy={value === null}>
      <h2 id={id}>{t('reminders.when')}</h2>
      <p className="quiet">{t('reminders.about')}</p>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {isUnread && <Loading what={t('reminders.loading')} />}
      {(isUnread || value !== null) && (
        <form
          className={isUnread ? 'stack unread' : 'stack'}
          inert={isUnread}
          onSubmit={(event) => {
            event.preventDefault();
            save(shown);
          }}
        >
          <ReminderFields
            value={shown}
            onChange={(next) => {
              setDone('');
              setDraft({ ...shown, ...next });
            }}
          />
          <label className="tick">
            <input
              type="checkbox"
              checked={shown.live}
              onChange={(event) => {
                setDone('');
                setDraft({ ...shown, live: event.target.checked });
              }}
            />
            {t('reminders.alsoLive')}
          </label>
          {action.error && <ErrorNotice error={action.error} />}
          <div className="row">
            <button type="submit" className="button" disabled={action.busy || draft === null}>
              {t('reminders.save')}
            </button>
            <span role="status">{done}</span>
          </div>
        </form>
      )}
    </section>
  );
}
