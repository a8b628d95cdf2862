// The newest picture of a live event over its poster. In: an event. Out: a picture that renews itself
// while the page is visible, in the space that the poster has already.

import { useEffect, useState } from 'react';
import { t } from '../i18n/t';

import type { LiveEvent } from '../kit/types';
import { EventPoster } from './event-poster';

const RENEW_S = 10;
/** The first request has the first picture made: ask again soon. */
const RETRY_S = 2;

/** The time in whole intervals: viewers ask for the same addresses, which caches can share. */
function timeOf(everyS: number, nowMs: number): number {
  return Math.floor(nowMs / (everyS * 1000)) * everyS;
}

/** The newest interval's time while the page is visible. */
function useInterval(everyS: number): number {
  const [atS, setAtS] = useState(() => timeOf(everyS, Date.now()));
  useEffect(() => {
    const look = (): void => {
      if (!document.hidden) setAtS((before) => Math.max(before, timeOf(everyS, Date.now())));
    };
    const timer = setInterval(look, RETRY_S * 1000);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [everyS]);
  return atS;
}

function Picture({ event }: { event: LiveEvent }) {
  const [there, setThere] = useState(false);
  const atS = useInterval(there ? RENEW_S : RETRY_S);
  // The browser shows the last picture until the next one is decoded.
  return (
    <img
      className="live-picture"
      src={`/api/v1/events/${encodeURIComponent(event.id)}/thumbnail?at=${String(atS)}`}
      alt={there ? t('event.atThisMoment', { title: event.title }) : ''}
      width="640"
      height="360"
      loading="lazy"
      decoding="async"
      data-there={there}
      onLoad={() => {
        setThere(true);
      }}
      onError={() => {
        setThere(false);
      }}
    />
  );
}

/** The poster, and over it the picture of what is live. */
export function LivePicture({ event }: { event: LiveEvent }) {
  return (
    <>
      <EventPoster event={event} />
      {event.state === 'live' && <Picture event={event} />}
    </>
  );
}
