// Plays one event. The player reconnects by itself; this page shows the video and the player's status.

import { useState } from 'react';
import { SaidHere } from '../captions/said';
import { rich, t } from '../i18n/t';
import { formatDistance, formatSpan, formatViewers } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { ChangeKind, LiveEvent } from '../kit/types';
import { early } from '../player/early';
import type { Choice } from '../player/model';
import { Facts, QualityChoice, StatusLine } from '../player/panel';
import { keepChoice, keepQuality } from '../player/preferences';
import type { Player } from '../player/runner';
import { Stage } from '../player/stage';
import { usePlayer } from '../player/use-player';
import { useWatchOn } from '../player/watch-on';
import { RecordButton } from '../recordings/record-button';
import { ReplayVideo } from '../recordings/replay-video';
import { BackToLive, GoBack, useReplays } from '../recordings/rewind';
import { ComingDays } from '../ui/event-lists';
import { Follow } from '../ui/follow';
import { useLive, useNow, useOnline, useSignIn } from '../ui/hooks';
import { Link, useSearch, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, ErrorPage, Loading, StateBadge } from '../ui/parts';
import { PassPhraseForm } from '../ui/pass-phrase';
import { Reserve } from '../ui/reserve';
import { Share } from '../ui/share';

const KINDS: readonly ChangeKind[] = ['event', 'session'];
const POLL_MS = 10_000;
const MORE_POLL_MS = 60_000;
/** Of the same provider, under the event. */
const MORE_EVENTS = 4;

/** Lets a signed-in viewer reserve an event that has not begun, which also reminds of it. */
function ReserveHere({ event }: { event: LiveEvent }) {
  const username = useSignIn()?.username ?? null;
  const isAhead = event.state === 'scheduled' || event.state === 'open';
  const key = username !== null && isAhead ? `reservations ${username}` : null;
  const { data, refresh } = useLive(key, api.reservations, [], POLL_MS);
  if (!isAhead) return null;
  if (username === null) {
    return (
      <p className="reserve-place quiet">
        {rich('watch.signIn', { link: <Link to={to.account}>{t('common.signIn')}</Link> })}
      </p>
    );
  }
  const found = data?.find((one) => one.event.id === event.id);
  return (
    <div className="reserve-place">
      {data && <Reserve event={event} purpose={found?.purpose ?? null} onChange={refresh} />}
    </div>
  );
}

/** The first lines under the player: what it is, whose and when. */
function Title({ event }: { event: LiveEvent }) {
  const nowMs = useNow();
  const when = formatSpan(event.starts_at, event.ends_at);
  return (
    <div className="about">
      <h1>{event.title}</h1>
      <p className="about-meta">
        <StateBadge state={event.state} />
        <Link to={to.provider(event.provider_id)}>{event.provider_name}</Link>
        <time dateTime={event.starts_at}>
          {event.state === 'scheduled' ? `${when}, ${formatDistance(event.starts_at, nowMs)}` : when}
        </time>
        {event.state === 'live' && <span>{formatViewers(event.stream?.viewers ?? 0)}</span>}
      </p>
    </div>
  );
}

function About({ event }: { event: LiveEvent }) {
  return (
    <>
      <ReserveHere event={event} />
      {event.description !== '' && <p className="about-text">{event.description}</p>}
    </>
  );
}

function WatchOn({ player, eventId }: { player: Player; eventId: string }) {
  useWatchOn(player, eventId, useSignIn() !== null);
  return null;
}

/** What else the provider has scheduled. */
function MoreEvents({ event }: { event: LiveEvent }) {
  const nowMs = useNow();
  const read = () => api.discoverEvents({ section: 'soon', provider_id: event.provider_id, limit: MORE_EVENTS + 1 });
  const { data } = useLive(`more ${event.provider_id}`, read, ['event'], MORE_POLL_MS);
  const others = (data?.items ?? []).filter((one) => one.id !== event.id).slice(0, MORE_EVENTS);
  if (others.length === 0) return null;
  return (
    <section aria-labelledby="more-events">
      <h2 id="more-events">{t('watch.more', { provider: event.provider_name })}</h2>
      <ComingDays events={others} nowMs={nowMs} />
    </section>
  );
}

/** An event by invitation looks like none to who is not invited, or not signed in yet. */
function NotFound({ wasOpen }: { wasOpen: boolean }) {
  const isSignedIn = useSignIn() !== null;
  if (wasOpen) return <Closed />;
  return (
    <Empty isPage title={t('event.notFound')}>
      <p>{rich('common.checkAddress', { link: <Link to={to.discover}>{t('common.seeLive')}</Link> })}</p>
      {!isSignedIn && <p>{rich('watch.invited', { link: <Link to={to.account}>{t('common.signIn')}</Link> })}</p>}
    </Empty>
  );
}

/** Somebody watched the event before it was closed to them. */
function Closed() {
  return (
    <Empty isPage title={t('watch.closed')}>
      <p>{rich('watch.closedAbout', { link: <Link to={to.discover}>{t('common.seeLive')}</Link> })}</p>
    </Empty>
  );
}

/** Where the address says that the recording is to begin, in seconds. */
function useMoment(): number | null {
  const text = useSearch().get('t') ?? '';
  return /^[0-9]{1,7}$/.test(text) ? Number(text) : null;
}

const beginOf = (event: LiveEvent): 'start' | 'end' => (event.state === 'ended' ? 'start' : 'end');

export default function Watch({ eventId }: { eventId: string }) {
  const read = (): Promise<LiveEvent> => early.takeEvent(eventId) ?? api.event(eventId);
  const first = early.knownEvent(eventId);
  const { data: event, error, refresh } = useLive(`event ${eventId}`, read, KINDS, POLL_MS, first);
  const [video, setVideo] = useState<HTMLVideoElement | null>(null);
  const player = usePlayer(event, video);
  const atS = useMoment();
  const isOnline = useOnline();
  const replays = useReplays(event, atS !== null);
  useTitle(event?.title ?? t('watch.title'));

  if (error?.status === 404) return <NotFound wasOpen={event !== null} />;
  if (error?.code === 'umbel.pass_phrase_needed') {
    return <PassPhraseForm eventId={eventId} wasOpen={event !== null} onOpen={refresh} />;
  }
  if (!event) {
    return error ? (
      <div className="page">
        <ErrorPage title={t('event.cannotShow')} error={error} onRetry={refresh} />
      </div>
    ) : (
      <Loading what={t('event.loading')} />
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
        <ReplayVideo key={atS} replay={replays.shown} begin={atS ?? beginOf(event)} />
      ) : (
        <Stage event={event} player={player} video={video} onVideo={setVideo} />
      )}
      <Title event={event} />
      <div className="under">
        {replays.shown && <BackToLive event={event} replays={replays} />}
        {player && <StatusLine player={player} heightPx={heightPx} />}
        {player && <QualityChoice player={player} heightPx={heightPx} onChoose={chooseQuality} />}
      </div>
      <div className="row row-start">
        <Follow providerId={event.provider_id} name={event.provider_name} />
        <GoBack event={event} replays={replays} />
        <RecordButton event={event} canGoBack={replays.isThere} />
      </div>
      {error && isOnline && <ErrorNotice error={error} onRetry={refresh} />}
      <About event={event} />
      <SaidHere event={event} isRecorded={replays.isThere} />
      {player && <Facts player={player} heightPx={heightPx} onChoose={choose} />}
      {player && <WatchOn player={player} eventId={eventId} />}
      <Share event={event} />
      <MoreEvents event={event} />
    </div>
  );
}
