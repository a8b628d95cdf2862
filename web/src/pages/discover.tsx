// Events to watch: live now, coming up by day, and ended. The portal's feed keeps the page current.

import { useId } from 'react';

import { formatDateTime, formatDistance, formatTime, formatViewers, groupByDay } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { ChangeKind, LiveEvent } from '../kit/types';
import { useLive, useNow } from '../ui/hooks';
import { Icon } from '../ui/icons';
import { LivePicture } from '../ui/live-picture';
import { Link, navigate, useSearch, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, Loading, StateBadge } from '../ui/parts';

const KINDS: readonly ChangeKind[] = ['event', 'session', 'provider'];
const POLL_MS = 15_000;
const ENDED_SHOWN = 12;

export interface Shelf {
  now: LiveEvent[];
  next: LiveEvent[];
  past: LiveEvent[];
}

/** Sorts events into the three lists: the most watched, the soonest, and the latest first. */
export function shelve(events: readonly LiveEvent[]): Shelf {
  const viewers = (event: LiveEvent): number => event.stream?.viewers ?? 0;
  const rank = (event: LiveEvent): number => (event.state === 'live' ? 0 : 1);
  return {
    now: events
      .filter((event) => event.state === 'live' || event.state === 'open')
      .sort((a, b) => rank(a) - rank(b) || viewers(b) - viewers(a)),
    next: events.filter((event) => event.state === 'scheduled'),
    past: events
      .filter((event) => event.state === 'ended' || event.state === 'cancelled')
      .sort((a, b) => Date.parse(b.starts_at) - Date.parse(a.starts_at)),
  };
}

function Card({ event, nowMs }: { event: LiveEvent; nowMs: number }) {
  const viewers = event.stream?.viewers ?? 0;
  return (
    <li className="card">
      <Link to={to.watch(event.id)} className="card-link">
        <div className="card-picture">
          <LivePicture event={event} />
          <div className="card-badges">
            <StateBadge state={event.state} />
            {event.state === 'live' && (
              <span className="badge badge-dark">
                <Icon name="eye" /> {formatViewers(viewers)}
              </span>
            )}
          </div>
        </div>
        <h3>{event.title}</h3>
        <p className="card-meta">
          {event.provider_name}
          <span aria-hidden="true"> · </span>
          {event.state === 'live' ? `started ${formatDistance(event.starts_at, nowMs)}` : 'waiting for the encoder'}
        </p>
      </Link>
    </li>
  );
}

function Row({ event, nowMs }: { event: LiveEvent; nowMs: number }) {
  return (
    <li>
      <Link to={to.watch(event.id)} className="row-link">
        <time dateTime={event.starts_at}>{formatTime(event.starts_at)}</time>
        <span className="row-text">
          <strong>{event.title}</strong>
          <span className="quiet">{event.provider_name}</span>
        </span>
        <span className="quiet row-distance">{formatDistance(event.starts_at, nowMs)}</span>
      </Link>
    </li>
  );
}

function PastRow({ event }: { event: LiveEvent }) {
  return (
    <li>
      <span className="row-link">
        <span className="row-text">
          <strong>{event.title}</strong>
          <span className="quiet">
            {event.provider_name}
            <span aria-hidden="true"> · </span>
            {formatDateTime(event.starts_at)}
          </span>
        </span>
        <StateBadge state={event.state} />
      </span>
    </li>
  );
}

function Providers({ events, chosen }: { events: readonly LiveEvent[]; chosen: string | null }) {
  const names = new Map(events.map((event) => [event.provider_id, event.provider_name]));
  if (names.size < 2) return null;
  const choose = (id: string | null): void => {
    navigate(id === null ? '/' : `/?provider=${encodeURIComponent(id)}`, true);
  };
  const chip = (id: string | null, name: string) => (
    <button
      key={id ?? ''}
      type="button"
      className="chip"
      aria-pressed={chosen === id}
      onClick={() => {
        choose(id);
      }}
    >
      {name}
    </button>
  );
  const sorted = [...names].sort(([, a], [, b]) => a.localeCompare(b));
  return (
    <fieldset className="chips" aria-label="Providers">
      {chip(null, 'All')}
      {sorted.map(([id, name]) => chip(id, name))}
    </fieldset>
  );
}

function NothingLive({ next, nowMs }: { next: LiveEvent | undefined; nowMs: number }) {
  return (
    <Empty title="Nothing is live right now">
      {next ? (
        <p>
          Next: <Link to={to.watch(next.id)}>{next.title}</Link>, {formatDistance(next.starts_at, nowMs)}.
        </p>
      ) : (
        <p>Events appear here automatically when a provider schedules one.</p>
      )}
    </Empty>
  );
}

function Shelves({ shelf, nowMs }: { shelf: Shelf; nowMs: number }) {
  const id = useId();
  const days = groupByDay(shelf.next, nowMs);
  return (
    <>
      <section aria-labelledby={`${id}now`}>
        <h2 id={`${id}now`} className={shelf.now.length > 0 ? undefined : 'visually-hidden'}>
          Live now
        </h2>
        {shelf.now.length > 0 ? (
          <ul className="cards">
            {shelf.now.map((event) => (
              <Card key={event.id} event={event} nowMs={nowMs} />
            ))}
          </ul>
        ) : (
          <NothingLive next={days[0]?.items[0]} nowMs={nowMs} />
        )}
      </section>
      {days.length > 0 && (
        <section aria-labelledby={`${id}next`}>
          <h2 id={`${id}next`}>Coming up</h2>
          <div className="days">
            {days.map((day) => (
              <div key={day.key} className="day">
                <h3>{day.label}</h3>
                <ul className="rows">
                  {day.items.map((event) => (
                    <Row key={event.id} event={event} nowMs={nowMs} />
                  ))}
                </ul>
              </div>
            ))}
          </div>
        </section>
      )}
      {shelf.past.length > 0 && (
        <section aria-labelledby={`${id}past`}>
          <h2 id={`${id}past`}>Ended</h2>
          <ul className="rows">
            {shelf.past.slice(0, ENDED_SHOWN).map((event) => (
              <PastRow key={event.id} event={event} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

export function Discover() {
  useTitle('');
  const nowMs = useNow();
  const { data, error, refresh } = useLive('events', api.events, KINDS, POLL_MS);
  const chosen = useSearch().get('provider');
  const mine = data?.filter((event) => chosen === null || event.provider_id === chosen);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Discover</h1>
        {data && <Providers events={data} chosen={chosen} />}
      </div>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {mine && <Shelves shelf={shelve(mine)} nowMs={nowMs} />}
      {!data && !error && <Loading what="Loading events" />}
    </div>
  );
}
