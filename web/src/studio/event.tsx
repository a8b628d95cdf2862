// One event for its provider: the state of the stream, where to send it, and publishing from the browser.

import { useEffect, useRef, useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';

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
import { ExpectedCard } from './expected';
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
  const label = early ? t('studio.cancelEvent') : t('studio.endEvent');
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
          <p>{t('studio.cannotUndo', { what: early ? t('studio.willNotTakePlace') : t('studio.allDisconnected') })}</p>
          {early && event.series_id !== null && (
            <label className="tick">
              <input
                type="checkbox"
                checked={following}
                onChange={(ticked) => {
                  setFollowing(ticked.target.checked);
                }}
              />
              {t('studio.alsoFollowing')}
            </label>
          )}
        </Confirm>
      )}
    </>
  );
}

const AUDIENCES: Readonly<Record<Visibility, PlainKey>> = {
  public: 'audience.public',
  unlisted: 'audience.unlisted',
  pass_phrase: 'audience.passPhrase',
  invited: 'audience.invited',
};

function ShareCard({ event: { id, visibility } }: { event: LiveEvent }) {
  return (
    <section className="panel" aria-label={t('share.share')}>
      <h2>{t('share.share')}</h2>
      <CopyField label={t('studio.watchLink')} value={`${location.origin}${to.watch(id)}`} />
      <p className="quiet">{t('studio.beforeStart', { audience: t(AUDIENCES[visibility]) })}</p>
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
        <ExpectedCard event={event} />
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
      <Empty title={wasHeld ? t('event.ended') : t('event.cancelled')}>
        <p>
          <Link to={to.studio}>{t('studio.another')}</Link>
        </p>
      </Empty>
      {wasHeld && <StatisticsCard event={event} />}
      {wasHeld && <ExpectedCard event={event} />}
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
  const edit = useRef<HTMLButtonElement>(null);
  const wasEditing = useRef(false);
  // Who closes the form goes on where it was opened.
  useEffect(() => {
    if (wasEditing.current && !editing) edit.current?.focus();
    wasEditing.current = editing;
  }, [editing]);
  useTitle(event?.title ?? t('nav.studio'));
  if (!event) {
    return error ? (
      <ErrorPage title={t('event.cannotShow')} error={error} onRetry={refresh} />
    ) : (
      <Loading what={t('event.loading')} />
    );
  }
  const over = event.state === 'ended' || event.state === 'cancelled';
  return (
    <>
      <p className="crumb">
        <Link to={to.studio}>{t('nav.studio')}</Link>
      </p>
      <div className="page-head">
        <div>
          <h1>{event.title}</h1>
          <p className="about-meta">
            <StateBadge state={event.state} />
            <VisibilityBadge visibility={event.visibility} />
            {event.series_id !== null && <span className="badge">{t('studio.inSeries')}</span>}
            <span>{event.provider_name}</span>
            <span>{formatSpan(event.starts_at, event.ends_at)}</span>
            {event.time_zone !== ownZone() && (
              <span>
                {t('studio.timeInZone', {
                  time: toZonedInput(Date.parse(event.starts_at), event.time_zone).slice(11),
                  zone: event.time_zone,
                })}
              </span>
            )}
          </p>
        </div>
        <div className="row row-start">
          <Link to={to.watch(event.id)} className="button">
            {t('watch.title')}
          </Link>
          {!over && !editing && (
            <button
              ref={edit}
              type="button"
              className="button"
              onClick={() => {
                setEditing(true);
              }}
            >
              {t('studio.edit')}
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
