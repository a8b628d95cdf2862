// One event for its provider: the state of the stream, where to send it, and publishing from the browser.

import { useState } from 'react';

import { formatSpan } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { Ingest, LiveEvent, Me, Visibility } from '../kit/types';
import { ownZone, toZonedInput } from '../kit/zones';
import { useAction, useLive } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Confirm, CopyField, Empty, ErrorNotice, ErrorPage, Loading, StateBadge, VisibilityBadge } from '../ui/parts';
import { ForProviders } from './account';
import { CaptionCard } from './caption-card';
import { EditEvent } from './edit-event';
import { GoLive } from './go-live';
import { IngestCard } from './ingest-card';
import { Invitations } from './invitations';
import { keepKey, keptKey } from './keys';
import { PictureCard } from './picture-card';
import { PlayoutCard } from './playout-card';
import { ReplayCard } from './replay-card';
import { StatisticsCard } from './statistics';
import { StreamCard } from './stream-card';

const POLL_MS = 5000;

function Ending({ event, onDone }: { event: LiveEvent; onDone: () => void }) {
  const [asking, setAsking] = useState(false);
  const [following, setFollowing] = useState(false);
  const { busy, error, run } = useAction();
  const early = event.state === 'scheduled';
  const label = early ? 'Cancel event' : 'End event';
  const end = (): Promise<void> =>
    run(async () => {
      if (early && following) await api.cancelFollowing(event.id);
      else await (early ? api.cancelEvent(event.id) : api.endEvent(event.id));
      onDone();
    });
  return (
    <>
      <button
        type="button"
        className="button button-danger"
        disabled={busy}
        onClick={() => {
          setAsking(true);
        }}
      >
        {label}
      </button>
      {error && <ErrorNotice error={error} />}
      {asking && (
        <Confirm
          title={`${label}?`}
          action={label}
          onConfirm={() => void end()}
          onClose={() => {
            setAsking(false);
          }}
        >
          <p>{early ? 'The event will not take place.' : 'All viewers are disconnected.'} This cannot be undone.</p>
          {early && event.series_id !== null && (
            <label className="tick">
              <input
                type="checkbox"
                checked={following}
                onChange={(ticked) => {
                  setFollowing(ticked.target.checked);
                }}
              />
              Also cancel the events of this series that follow
            </label>
          )}
        </Confirm>
      )}
    </>
  );
}

const AUDIENCES: Readonly<Record<Visibility, string>> = {
  public: 'Everybody with this link can watch.',
  unlisted: 'Everybody with this link can watch; nobody finds the event without it.',
  pass_phrase: 'Give your viewers this link and the pass phrase.',
  invited: 'The accounts that you invite can watch here when they are signed in.',
};

function ShareCard({ event: { id, visibility } }: { event: LiveEvent }) {
  return (
    <section className="panel" aria-label="Share">
      <h2>Share</h2>
      <CopyField label="Link to the watch page" value={`${location.origin}${to.watch(id)}`} />
      <p className="quiet">{AUDIENCES[visibility]} Before the start it shows when the event begins.</p>
    </section>
  );
}

interface WorkbenchProps {
  event: LiveEvent;
  mayRotate: boolean;
  onChange: () => void;
}

function Workbench({ event, mayRotate, onChange }: WorkbenchProps) {
  const [ingest, setIngest] = useState<Ingest | null>(null);
  const [streamKey, setStreamKey] = useState(() => keptKey(event.id));
  const onKey = (key: string): void => {
    keepKey(event.id, key);
    setStreamKey(key);
  };
  return (
    <div className="columns columns-even">
      <div className="stack">
        <StreamCard event={event} />
        {event.state !== 'scheduled' && <StatisticsCard event={event} />}
        <IngestCard
          eventId={event.id}
          ingest={ingest}
          streamKey={streamKey}
          mayRotate={mayRotate}
          onIngest={setIngest}
          onKey={onKey}
        />
      </div>
      <div className="stack">
        <GoLive eventId={event.id} ingest={ingest} streamKey={streamKey} onIngest={setIngest} onKey={onKey} />
        <PlayoutCard event={event} />
        {event.visibility === 'invited' && <Invitations eventId={event.id} />}
        <ReplayCard event={event} />
        <CaptionCard event={event} />
        <ShareCard event={event} />
        <PictureCard event={event} onChange={onChange} />
      </div>
    </div>
  );
}

/** Owners and operators may do what ends the access of others. */
const mayOwn = (me: Me, provider: string): boolean =>
  me.role === 'operator' || me.providers.some((one) => one.provider_id === provider && one.role === 'owner');

function Over({ event }: { event: LiveEvent }) {
  const wasHeld = event.state === 'ended';
  return (
    <>
      <Empty title={wasHeld ? 'This event has ended' : 'This event was cancelled'}>
        <p>
          <Link to={to.studio}>Create another event</Link>
        </p>
      </Empty>
      {wasHeld && <StatisticsCard event={event} />}
    </>
  );
}

function EventPage({ me, eventId }: { me: Me; eventId: string }) {
  const {
    data: event,
    error,
    refresh,
  } = useLive(`event ${eventId}`, () => api.event(eventId), ['event', 'session'], POLL_MS);
  const [editing, setEditing] = useState(false);
  useTitle(event?.title ?? 'Studio');
  if (!event) {
    return error ? (
      <ErrorPage title="This event cannot be shown" error={error} onRetry={refresh} />
    ) : (
      <Loading what="Loading the event" />
    );
  }
  const over = event.state === 'ended' || event.state === 'cancelled';
  return (
    <>
      <p className="crumb">
        <Link to={to.studio}>Studio</Link>
      </p>
      <div className="page-head">
        <div>
          <h1>{event.title}</h1>
          <p className="about-meta">
            <StateBadge state={event.state} />
            <VisibilityBadge visibility={event.visibility} />
            {event.series_id !== null && <span className="badge">In a series</span>}
            <span>{event.provider_name}</span>
            <span>{formatSpan(event.starts_at, event.ends_at)}</span>
            {event.time_zone !== ownZone() && (
              <span>
                {toZonedInput(Date.parse(event.starts_at), event.time_zone).slice(11)} in {event.time_zone}
              </span>
            )}
          </p>
        </div>
        <div className="row">
          <Link to={to.watch(event.id)} className="button">
            Watch
          </Link>
          {!over && !editing && (
            <button
              type="button"
              className="button"
              onClick={() => {
                setEditing(true);
              }}
            >
              Edit
            </button>
          )}
          {!over && <Ending event={event} onDone={refresh} />}
        </div>
      </div>
      {event.description !== '' && !editing && <p className="about-text">{event.description}</p>}
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {!over && editing && (
        <EditEvent
          event={event}
          onDone={refresh}
          onClose={() => {
            setEditing(false);
          }}
        />
      )}
      {over ? (
        <Over event={event} />
      ) : (
        <Workbench event={event} mayRotate={mayOwn(me, event.provider_id)} onChange={refresh} />
      )}
    </>
  );
}

export default function StudioEvent({ eventId }: { eventId: string }) {
  return (
    <div className="page">
      <ForProviders>{(me) => <EventPage me={me} eventId={eventId} />}</ForProviders>
    </div>
  );
}
