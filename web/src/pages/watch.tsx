// Plays one event. The player reconnects by itself; this page shows the video and the player's status.

import { useEffect, useEffectEvent, useState } from 'react';

import { follow } from '../kit/feed';
import { formatDateTime, formatDistance, formatViewers } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { throttle } from '../kit/throttle';
import type { ChangeKind, LiveEvent } from '../kit/types';
import { createPlayer, exposeHook } from '../player/browser';
import { early } from '../player/early';
import { followDrain } from '../player/follow-drain';
import type { Choice } from '../player/model';
import { Facts, ProtocolChoice, QualityChoice, StatusLine } from '../player/panel';
import { keepChoice, keepQuality, preferencesOf } from '../player/preferences';
import type { Player } from '../player/runner';
import { Stage } from '../player/stage';
import { RecordButton } from '../recordings/record-button';
import { ReplayVideo } from '../recordings/replay-video';
import { BackToLive, GoBack, useReplays } from '../recordings/rewind';
import { useLive, useNow, useSignIn } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Empty, ErrorPage, Loading, StateBadge } from '../ui/parts';
import { PassPhraseForm } from '../ui/pass-phrase';
import { Reserve } from '../ui/reserve';

const KINDS: readonly ChangeKind[] = ['event', 'session'];
const HINTS: readonly ChangeKind[] = ['event', 'tree', 'session'];
const HINT_EVERY_MS = 1000;
const POLL_MS = 10_000;

/** A player while this page is shown. It starts again when the browser restores the page from its cache. */
function usePlayer(event: LiveEvent | null, video: HTMLVideoElement | null): Player | null {
  const [player, setPlayer] = useState<Player | null>(null);
  const eventId = event?.id ?? null;
  const newest = useEffectEvent(() => event);

  useEffect(() => {
    if (eventId === null || video === null) return undefined;
    const created = createPlayer(eventId, video, preferencesOf(eventId, location.search));
    const hide = exposeHook(created);
    const hint = throttle(() => {
      created.send({ type: 'hint' });
    }, HINT_EVERY_MS);
    const unfollow = follow((change) => {
      if (HINTS.includes(change.kind)) hint();
    });
    const unfollowDrain = followDrain(created);
    const leave = (): void => {
      created.stop();
    };
    const back = (shown: PageTransitionEvent): void => {
      if (shown.persisted) created.start(newest());
    };
    window.addEventListener('pagehide', leave);
    window.addEventListener('pageshow', back);
    window.addEventListener('online', hint);
    created.start(newest());
    setPlayer(created);
    return () => {
      window.removeEventListener('pagehide', leave);
      window.removeEventListener('pageshow', back);
      window.removeEventListener('online', hint);
      unfollow();
      unfollowDrain();
      hint.cancel();
      created.stop();
      hide();
      setPlayer(null);
    };
  }, [eventId, video]);

  useEffect(() => {
    if (player && event) player.update(event);
  }, [player, event]);

  return player;
}

/** Lets a signed-in viewer reserve an event that has not begun. */
function ReserveHere({ event }: { event: LiveEvent }) {
  const username = useSignIn()?.username ?? null;
  const isAhead = event.state === 'scheduled' || event.state === 'open';
  const key = username !== null && isAhead ? `reservations ${username}` : null;
  const { data, refresh } = useLive(key, api.reservations, [], POLL_MS);
  if (key === null || !data) return null;
  const found = data.find((one) => one.event.id === event.id);
  return <Reserve event={event} purpose={found?.purpose ?? null} onChange={refresh} />;
}

function About({ event }: { event: LiveEvent }) {
  const nowMs = useNow();
  const when =
    event.state === 'scheduled'
      ? `${formatDateTime(event.starts_at)}, ${formatDistance(event.starts_at, nowMs)}`
      : formatDateTime(event.starts_at);
  return (
    <div className="about">
      <h1>{event.title}</h1>
      <p className="about-meta">
        <StateBadge state={event.state} />
        <span>{event.provider_name}</span>
        <time dateTime={event.starts_at}>{when}</time>
        {event.state === 'live' && <span>{formatViewers(event.stream?.viewers ?? 0)}</span>}
      </p>
      <ReserveHere event={event} />
      {event.description !== '' && <p className="about-text">{event.description}</p>}
    </div>
  );
}

/** An event by invitation looks like none to who is not invited, or not signed in yet. */
function NotFound() {
  const isSignedIn = useSignIn() !== null;
  return (
    <Empty isPage title="Event not found">
      <p>
        Check the address. <Link to={to.discover}>See what is live</Link>
      </p>
      {!isSignedIn && (
        <p>
          Were you invited to it? <Link to={to.account}>Sign in</Link>, then open the link again.
        </p>
      )}
    </Empty>
  );
}

export default function Watch({ eventId }: { eventId: string }) {
  const read = (): Promise<LiveEvent> => early.takeEvent(eventId) ?? api.event(eventId);
  const first = early.knownEvent(eventId);
  const { data: event, error, refresh } = useLive(`event ${eventId}`, read, KINDS, POLL_MS, first);
  const [video, setVideo] = useState<HTMLVideoElement | null>(null);
  const player = usePlayer(event, video);
  const replays = useReplays(event);
  useTitle(event?.title ?? 'Watch');

  if (error?.status === 404) return <NotFound />;
  if (error?.code === 'umbel.pass_phrase_needed') return <PassPhraseForm eventId={eventId} onOpen={refresh} />;
  if (!event) {
    return error ? (
      <div className="page">
        <ErrorPage title="This event cannot be shown" error={error} onRetry={refresh} />
      </div>
    ) : (
      <Loading what="Loading the event" />
    );
  }
  const choose = (choice: Choice): void => {
    keepChoice(choice);
    player?.send({ type: 'choose', choice });
  };
  const chooseQuality = (quality: string): void => {
    keepQuality(eventId, quality);
    player?.send({ type: 'quality', quality });
  };
  const heightPx = event.stream?.height ?? 0;
  return (
    <div className="page watch">
      {replays.shown ? (
        <ReplayVideo replay={replays.shown} begin={event.state === 'ended' ? 'start' : 'end'} />
      ) : (
        <Stage event={event} player={player} video={video} onVideo={setVideo} />
      )}
      <div className="under">
        {replays.shown && <BackToLive event={event} replays={replays} />}
        {player && <StatusLine player={player} heightPx={heightPx} />}
        {player && (
          <div className="choices">
            <QualityChoice player={player} heightPx={heightPx} onChoose={chooseQuality} />
            <ProtocolChoice player={player} onChoose={choose} />
          </div>
        )}
      </div>
      <div className="row row-start">
        <GoBack event={event} replays={replays} />
        <RecordButton event={event} canGoBack={replays.isThere} />
      </div>
      <About event={event} />
      {player && <Facts player={player} heightPx={heightPx} />}
    </div>
  );
}
