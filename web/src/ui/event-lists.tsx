// Lists of events: cards of what is live, rows of what is to come by day, rows of what is over. Each list grows by a
// button, which hands the focus to the first event that came.

import { type ReactNode, useEffect, useId, useRef } from 'react';
import { t } from '../i18n/t';

import { formatDateTime, formatDistance, formatTime, formatViewers, groupByDay } from '../kit/format';
import { to } from '../kit/routes';
import type { Listing, Shelf } from '../kit/shelf';
import type { LiveEvent, Section } from '../kit/types';
import { Icon } from './icons';
import { LivePicture } from './live-picture';
import { Link } from './navigation';
import { StateBadge } from './parts';

interface ItemProps {
  event: LiveEvent;
  nowMs: number;
}

function Card({ event, nowMs }: ItemProps) {
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
          {event.state === 'live'
            ? t('event.started', { distance: formatDistance(event.starts_at, nowMs) })
            : t('event.waiting')}
        </p>
      </Link>
    </li>
  );
}

export function Row({ event, nowMs }: ItemProps) {
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
      <Link to={to.watch(event.id)} className="row-link">
        <span className="row-text">
          <strong>{event.title}</strong>
          <span className="quiet">
            {event.provider_name}
            <span aria-hidden="true"> · </span>
            {formatDateTime(event.starts_at)}
          </span>
        </span>
        <StateBadge state={event.state} />
      </Link>
    </li>
  );
}

export function ComingDays({ events, nowMs }: { events: readonly LiveEvent[]; nowMs: number }) {
  return (
    <div className="days">
      {groupByDay(events, nowMs).map((day) => (
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
  );
}

interface GrowingProps {
  title: string;
  listing: Listing<unknown>;
  onMore: () => void;
  children: ReactNode;
}

/** A section that is shown where it has something, with a button while there is more. */
export function Growing({ title, listing, onMore, children }: GrowingProps) {
  const id = useId();
  const section = useRef<HTMLElement>(null);
  const count = listing.items.length;
  const before = useRef<number | null>(null);

  useEffect(() => {
    const first = before.current;
    if (first === null || count <= first) return;
    before.current = null;
    section.current?.querySelectorAll('a')[first]?.focus();
  }, [count]);

  if (count === 0) return null;
  return (
    <section ref={section} aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
      {listing.hasMore && (
        <button
          type="button"
          className="button more"
          onClick={() => {
            before.current = count;
            onMore();
          }}
        >
          {t('common.showMore')}
          <span className="visually-hidden"> {t('list.of', { title })}</span>
        </button>
      )}
    </section>
  );
}

interface ShelvesProps {
  shelf: Shelf;
  nowMs: number;
  onMore: (section: Section) => void;
}

/** The three sections; those that are empty are not there. */
export function Shelves({ shelf, nowMs, onMore }: ShelvesProps) {
  const more = (section: Section) => () => {
    onMore(section);
  };
  return (
    <>
      <Growing title={t('list.live')} listing={shelf.live} onMore={more('live')}>
        <ul className="cards">
          {shelf.live.items.map((event) => (
            <Card key={event.id} event={event} nowMs={nowMs} />
          ))}
        </ul>
      </Growing>
      <Growing title={t('list.soon')} listing={shelf.soon} onMore={more('soon')}>
        <ComingDays events={shelf.soon.items} nowMs={nowMs} />
      </Growing>
      <Growing title={t('list.past')} listing={shelf.past} onMore={more('past')}>
        <ul className="rows">
          {shelf.past.items.map((event) => (
            <PastRow key={event.id} event={event} />
          ))}
        </ul>
      </Growing>
    </>
  );
}
