// The reminders of one reservation: as in the account, or of its own.

import { useState } from 'react';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import { leadText } from '../kit/reminders';
import type { Reservation } from '../kit/types';
import { useAction } from './hooks';
import { ErrorNotice } from './parts';
import { type ReminderChoice, ReminderFields } from './reminder-fields';

function summaryOf({ leads_s, channels }: Reservation['reminders']): string {
  if (leads_s.length === 0 || channels.length === 0) return t('reminders.none');
  return t('reminders.summary', { times: leads_s.map(leadText).join(', ') });
}

export function ReservationReminders({ of, onChange }: { of: Reservation; onChange: () => void }) {
  const { leads_s, channels, is_own } = of.reminders;
  const [draft, setDraft] = useState<ReminderChoice | null>(null);
  const { busy, error, run } = useAction();
  const value = draft ?? { leads_s, channels: channels as ReminderChoice['channels'] };
  const act = (what: () => Promise<void>): void => {
    void run(async () => {
      await what();
      setDraft(null);
      onChange();
    });
  };
  return (
    <details className="reservation-reminders">
      <summary>
        {summaryOf(of.reminders)}
        {is_own && <span className="quiet"> {t('reminders.own')}</span>}
      </summary>
      <div className="stack">
        <ReminderFields value={value} onChange={setDraft} />
        {error && <ErrorNotice error={error} />}
        <div className="row row-start">
          <button
            type="button"
            className="button button-small button-primary"
            disabled={busy || draft === null}
            onClick={() => {
              act(() => api.chooseReservationReminders(of.event.id, value.leads_s, value.channels));
            }}
          >
            {t('reminders.saveOwn')}
          </button>
          {is_own && (
            <button
              type="button"
              className="button button-small"
              disabled={busy}
              onClick={() => {
                act(() => api.resetReservationReminders(of.event.id));
              }}
            >
              {t('reminders.asAccount')}
            </button>
          )}
        </div>
      </div>
    </details>
  );
}
