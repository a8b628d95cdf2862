// The calendar: events of a month, by day or as a list, and which of them the viewer reserved or watched.

import { useId, useState } from 'react';
import { currentLocale } from '../i18n/language';
import { rich, t } from '../i18n/t';

import { dayKey } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { ChangeKind } from '../kit/types';
import { useLive, useNow, useOnline, useSignIn } from '../ui/hooks';
import { Link, navigate, useSearch, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, Loading } from '../ui/parts';
import { byDay, type Entry, entriesOf } from './entries';
import { EntryList } from './entry-list';
import { FeedPanel } from './feed-panel';
import { Grid } from './grid';
import { addMonths, firstDayOf, type Month, monthKey, monthOf, parseMonth } from './month';
import { WatchedPanel } from './watched-panel';

const KINDS: readonly ChangeKind[] = ['event', 'provider'];
const POLL_MS = 30_000;

const named = (key: string, options: Intl.DateTimeFormatOptions): string =>
  new Intl.DateTimeFormat(currentLocale(), { ...options, timeZone: 'UTC' }).format(new Date(`${key}T00:00:00Z`));

const monthName = (month: Month): string => named(`${monthKey(month)}-01`, { month: 'long', year: 'numeric' });
const dayName = (key: string): string => named(key, { weekday: 'long', day: 'numeric', month: 'long' });

interface DaysProps {
  days: ReadonlyMap<string, readonly Entry[]>;
  isSignedIn: boolean;
  onChange: () => void;
}

function Agenda({ days, isSignedIn, onChange, month }: DaysProps & { month: Month }) {
  if (days.size === 0) {
    return (
      <Empty title={t('calendar.nothingIn', { month: monthName(month) })}>
        <p>{t('common.eventsAppear')}</p>
      </Empty>
    );
  }
  return (
    <div className="agenda">
      {[...days].map(([key, entries]) => (
        <section key={key} className="day" aria-labelledby={`day-${key}`}>
          <h3 id={`day-${key}`}>{dayName(key)}</h3>
          <EntryList entries={entries} isSignedIn={isSignedIn} onChange={onChange} />
        </section>
      ))}
    </div>
  );
}

function ChosenDay({ days, isSignedIn, onChange, chosen }: DaysProps & { chosen: string }) {
  const entries = days.get(chosen) ?? [];
  return (
    <section className="panel" aria-labelledby="chosen-day">
      <h3 id="chosen-day">{dayName(chosen)}</h3>
      {entries.length === 0 ? (
        <p className="quiet">{t('calendar.nothingOnDay')}</p>
      ) : (
        <EntryList entries={entries} isSignedIn={isSignedIn} onChange={onChange} />
      )}
    </section>
  );
}

interface BarProps {
  id: string;
  month: Month;
  view: 'month' | 'agenda';
  onMonth: (month: Month) => void;
  onToday: () => void;
  onView: (view: 'month' | 'agenda') => void;
}

function Bar({ id, month, view, onMonth, onToday, onView }: BarProps) {
  const step = (count: number, label: string, sign: string) => (
    <button
      type="button"
      className="button button-icon"
      aria-label={label}
      onClick={() => {
        onMonth(addMonths(month, count));
      }}
    >
      <span aria-hidden="true">{sign}</span>
    </button>
  );
  return (
    <div className="calendar-bar">
      <h2 id={id} aria-live="polite">
        {monthName(month)}
      </h2>
      <div className="row row-start">
        {step(-1, t('calendar.previous'), '‹')}
        <button type="button" className="button" onClick={onToday}>
          {t('time.today')}
        </button>
        {step(1, t('calendar.next'), '›')}
      </div>
      <fieldset className="chips" aria-label={t('calendar.view')}>
        {(['month', 'agenda'] as const).map((one) => (
          <button
            key={one}
            type="button"
            className="chip"
            aria-pressed={one === view}
            onClick={() => {
              onView(one);
            }}
          >
            {one === 'month' ? t('calendar.month') : t('calendar.agenda')}
          </button>
        ))}
      </fieldset>
    </div>
  );
}

/**
 * The events, and what the signed-in viewer reserved and watched of them: of all months, so that the grid keeps the focus from one
 * month to the next.
 */
function useEntries(username: string | null) {
  const events = useLive('events', api.events, KINDS, POLL_MS);
  const key = username === null ? null : `reservations ${username}`;
  const mine = useLive(key, api.reservations, KINDS, POLL_MS);
  const watched = useLive(username === null ? null : `watched ${username}`, api.watched, [], POLL_MS);
  const isThere = events.data !== null && (username === null || (mine.data !== null && watched.data !== null));
  return {
    entries: isThere ? entriesOf(events.data ?? [], mine.data ?? [], watched.data ?? []) : null,
    error: events.error ?? mine.error ?? watched.error,
    refresh: (): void => {
      events.refresh();
      mine.refresh();
      watched.refresh();
    },
  };
}

export default function Calendar() {
  useTitle(t('nav.calendar'));
  const id = useId();
  const nowMs = useNow();
  const isOnline = useOnline();
  const username = useSignIn()?.username ?? null;
  const search = useSearch();
  const today = dayKey(new Date(nowMs).toISOString());
  const month = parseMonth(search.get('month')) ?? monthOf(today);
  const view = search.get('view') === 'agenda' ? 'agenda' : 'month';
  const [wanted, setWanted] = useState(today);
  const chosen = wanted.startsWith(monthKey(month)) ? wanted : `${monthKey(month)}-01`;
  const { entries, error, refresh } = useEntries(username);
  const days = byDay(entries ?? [], month);
  // What is below the entries waits for them: it would be pushed down.
  const isRead = entries !== null || error !== null;
  const go = (next: Month, nextView = view): void => {
    navigate(to.calendar(monthKey(next), nextView === 'agenda' ? 'agenda' : undefined), true);
  };
  const choose = (key: string): void => {
    setWanted(key);
    if (!key.startsWith(monthKey(month))) go(monthOf(key));
  };
  const shared = { days, isSignedIn: username !== null, onChange: refresh };

  return (
    <div className="page">
      <div className="page-head">
        <h1>{t('nav.calendar')}</h1>
        {username === null && (
          <p className="quiet">
            {rich('calendar.signIn', { link: <Link to={to.account}>{t('common.signIn')}</Link> })}
          </p>
        )}
      </div>
      <Bar
        id={id}
        month={month}
        view={view}
        onMonth={go}
        onToday={() => {
          choose(today);
        }}
        onView={(next) => {
          go(month, next);
        }}
      />
      {error && isOnline && <ErrorNotice error={error} onRetry={refresh} />}
      {!isRead && <Loading what={t('calendar.loading')} />}
      {entries !== null && view === 'agenda' && <Agenda {...shared} month={month} />}
      {entries !== null && view === 'month' && (
        <div className="calendar">
          <Grid
            month={month}
            firstDay={firstDayOf(navigator.language)}
            days={days}
            chosen={chosen}
            nowMs={nowMs}
            labelledBy={id}
            onChoose={choose}
          />
          <ChosenDay {...shared} chosen={chosen} />
        </div>
      )}
      {username !== null && isRead && <FeedPanel username={username} />}
      {username !== null && isRead && <WatchedPanel onForget={refresh} />}
    </div>
  );
}
