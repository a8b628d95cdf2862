// The entries of one day, each with its time, its page and its reservation.

import { t } from '../i18n/t';
import { formatSpent, formatTime } from '../kit/format';
import { to } from '../kit/routes';
import type { LiveEvent } from '../kit/types';
import { Link } from '../ui/navigation';
import { StateBadge } from '../ui/parts';
import { ReservationReminders } from '../ui/reservation-reminders';
import { Reserve } from '../ui/reserve';
import type { Entry } from './entries';

interface EntryListProps {
  entries: readonly Entry[];
  isSignedIn: boolean;
  onChange: () => void;
}

const isAhead = ({ state }: LiveEvent): boolean => state === 'scheduled' || state === 'open';

export function EntryList({ entries, isSignedIn, onChange }: EntryListProps) {
  return (
    <ul className="entries">
      {entries.map(({ event, purpose, reservation, watchedS }) => (
        <li key={event.id} className={event.state === 'cancelled' ? 'entry entry-cancelled' : 'entry'}>
          <span className="entry-time">
            <time dateTime={event.starts_at}>{formatTime(event.starts_at)}</time>
            {' – '}
            <time dateTime={event.ends_at}>{formatTime(event.ends_at)}</time>
          </span>
          <span className="entry-text">
            <Link to={to.watch(event.id)} className="entry-title">
              {event.title}
            </Link>
            <span className="quiet">{event.provider_name}</span>
          </span>
          {event.state !== 'scheduled' && <StateBadge state={event.state} />}
          {watchedS !== null && (
            <span className="badge badge-watched">{t('calendar.watchedFor', { time: formatSpent(watchedS) })}</span>
          )}
          {isSignedIn && <Reserve event={event} purpose={purpose} onChange={onChange} />}
          {isSignedIn && reservation && isAhead(event) && <ReservationReminders of={reservation} onChange={onChange} />}
        </li>
      ))}
    </ul>
  );
}
