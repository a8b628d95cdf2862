// A month as a grid of days (ARIA Authoring Practices, grid): arrows move by day and week, Home and End to the ends of
// the week, Page Up and Page Down by month. One day at a time takes the focus.

import { type KeyboardEvent, useEffect, useRef } from 'react';
import { currentLocale } from '../i18n/language';
import { t } from '../i18n/t';

import { dayKey } from '../kit/format';
import type { Entry } from './entries';
import { type Day, dayForKey, type Month, weekdayOf, weeksOf } from './month';

const SHOWN = 3;

interface GridProps {
  month: Month;
  firstDay: number;
  days: ReadonlyMap<string, readonly Entry[]>;
  chosen: string;
  nowMs: number;
  labelledBy: string;
  onChoose: (key: string) => void;
}

const dateOf = (key: string): Date => new Date(`${key}T00:00:00Z`);
const named = (key: string, options: Intl.DateTimeFormatOptions): string =>
  new Intl.DateTimeFormat(currentLocale(), { ...options, timeZone: 'UTC' }).format(dateOf(key));

function describe(key: string, entries: readonly Entry[]): string {
  const day = named(key, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
  if (entries.length === 0) return `${day}, ${t('calendar.noEvents')}`;
  const reserved = entries.filter((entry) => entry.purpose !== null).length;
  const watched = entries.filter((entry) => entry.watchedS !== null).length;
  return [
    day,
    t('calendar.events', { count: entries.length }),
    ...(reserved > 0 ? [t('calendar.reserved', { count: reserved })] : []),
    ...(watched > 0 ? [t('calendar.watched', { count: watched })] : []),
  ].join(', ');
}

function markClass({ event, purpose, watchedS }: Entry): string {
  const reserved = purpose === null ? '' : ' mark-reserved';
  const watched = watchedS === null ? '' : ' mark-watched';
  return `mark-entry${reserved}${watched}${event.state === 'cancelled' ? ' mark-cancelled' : ''}`;
}

function Marks({ entries }: { entries: readonly Entry[] }) {
  return (
    <span className="marks" aria-hidden="true">
      {entries.slice(0, SHOWN).map((entry) => (
        <span key={entry.event.id} className={markClass(entry)}>
          {entry.event.title}
        </span>
      ))}
      {entries.length > SHOWN && <span className="mark-more">+{entries.length - SHOWN}</span>}
    </span>
  );
}

export function Grid({ month, firstDay, days, chosen, nowMs, labelledBy, onChoose }: GridProps) {
  const weeks = weeksOf(month, firstDay);
  const today = dayKey(new Date(nowMs).toISOString());
  const button = useRef<HTMLButtonElement>(null);
  const follows = useRef(false);

  // A key that chose another day takes the focus there, also into another month.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the effect runs when another day is chosen
  useEffect(() => {
    if (follows.current) button.current?.focus();
    follows.current = false;
  }, [chosen]);

  const onKeyDown = (event: KeyboardEvent): void => {
    const next = event.altKey || event.ctrlKey || event.metaKey ? null : dayForKey(event.key, chosen, firstDay);
    if (next === null) return;
    event.preventDefault();
    follows.current = true;
    onChoose(next);
  };

  const cell = (day: Day) => {
    const entries = days.get(day.key) ?? [];
    const isChosen = day.key === chosen;
    return (
      <td key={day.key} className={day.isInMonth ? undefined : 'outside'}>
        <button
          ref={isChosen ? button : undefined}
          type="button"
          tabIndex={isChosen ? 0 : -1}
          aria-pressed={isChosen}
          aria-label={describe(day.key, entries)}
          aria-current={day.key === today ? 'date' : undefined}
          onClick={() => {
            onChoose(day.key);
          }}
        >
          <span className="day-number">{day.day}</span>
          <Marks entries={entries} />
        </button>
      </td>
    );
  };

  return (
    // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: the pattern of a grid
    <table className="month" role="grid" aria-labelledby={labelledBy} onKeyDown={onKeyDown}>
      <thead>
        <tr>
          {weeks[0]?.map((day) => (
            <th key={weekdayOf(day.key)} scope="col" abbr={named(day.key, { weekday: 'long' })}>
              {named(day.key, { weekday: 'short' })}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {weeks.map((week) => (
          <tr key={week[0]?.key}>{week.map(cell)}</tr>
        ))}
      </tbody>
    </table>
  );
}
