// Reminds a signed-in viewer, on every page, of reserved events that begin soon.

import { useSyncExternalStore } from 'react';
import { rich, t } from '../i18n/t';

import { formatDistance, formatTime } from '../kit/format';
import { api } from '../kit/portal';
import { dismissals, dueReminders, parseDismissed, reminderOf } from '../kit/reminders';
import { to } from '../kit/routes';
import { useLive, useNow, useSignIn } from './hooks';
import { Link, usePathname } from './navigation';

const POLL_MS = 60_000;

export function Reminders() {
  const username = useSignIn()?.username ?? null;
  const nowMs = useNow();
  const dismissed = useSyncExternalStore(dismissals.subscribe, dismissals.get);
  const key = username === null ? null : `reservations ${username}`;
  const { data } = useLive(key, api.reservations, ['event'], POLL_MS);
  const live = useLive(username && `live notices ${username}`, api.liveNotices, ['event'], POLL_MS);
  const pathname = usePathname();
  const names = parseDismissed(dismissed);
  // Who watches it knows.
  const begun = (live.data ?? []).filter(
    (one) => !names.includes(`live ${one.event_id}`) && pathname !== to.watch(one.event_id),
  );
  const due = dueReminders(data ?? [], nowMs, names);
  return (
    <section className="reminders" aria-label={t('reminders.heading')} aria-live="polite">
      {begun.map((one) => {
        const dismiss = (): void => {
          dismissals.add(`live ${one.event_id}`);
        };
        return (
          <div key={one.event_id} className="reminder">
            <p>
              {rich('reminders.isLive', {
                event: (
                  <Link to={to.watch(one.event_id)} onClick={dismiss}>
                    {one.title}
                  </Link>
                ),
                provider: one.provider_name,
              })}
            </p>
            <button type="button" className="button button-small" onClick={dismiss}>
              {t('reminders.dismiss')}
            </button>
          </div>
        );
      })}
      {due.map((one) => {
        const { event } = one;
        const dismiss = (): void => {
          dismissals.add(reminderOf(one, nowMs));
        };
        return (
          <div key={reminderOf(one, nowMs)} className="reminder">
            <p>
              {rich('reminders.begins', {
                event: (
                  <Link to={to.watch(event.id)} onClick={dismiss}>
                    {event.title}
                  </Link>
                ),
                time: formatTime(event.starts_at),
                distance: formatDistance(event.starts_at, nowMs),
              })}
            </p>
            <button type="button" className="button button-small" onClick={dismiss}>
              {t('reminders.dismiss')}
            </button>
          </div>
        );
      })}
    </section>
  );
}
