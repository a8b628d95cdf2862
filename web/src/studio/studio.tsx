// A provider's events, and the form that makes a new one.

import { useId, useState } from 'react';
import { t } from '../i18n/t';

import { formatDateTime, formatViewers } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { EventState, LiveEvent, Me } from '../kit/types';
import { type Live, useAction, useLive } from '../ui/hooks';
import { LivePicture } from '../ui/live-picture';
import { Link, navigate, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, Loading, StateBadge, VisibilityBadge } from '../ui/parts';
import { ForProviders } from './account';
import { contentOf, emptyDraft, phraseOf, problemOf } from './draft';
import { EventFields } from './event-fields';
import { OverlapNote } from './overlap-note';
import { NO_REPEAT, repeatOf, repeatProblemOf } from './repeat';
import { RepeatFields } from './repeat-fields';
import { Team } from './team';

const POLL_MS = 15_000;

const ORDER: readonly EventState[] = ['live', 'open', 'scheduled', 'ended', 'cancelled'];

/** What needs the provider first comes first; within a state the soonest, of what is over the latest. */
export function arrange(events: readonly LiveEvent[]): LiveEvent[] {
  const begin = (event: LiveEvent): number => Date.parse(event.starts_at);
  const over = (event: LiveEvent): boolean => event.state === 'ended' || event.state === 'cancelled';
  return [...events].sort(
    (a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (over(a) ? begin(b) - begin(a) : begin(a) - begin(b)),
  );
}

function ProviderField({ me, value, onChange }: { me: Me; value: string; onChange: (id: string) => void }) {
  const id = useId();
  const isOperator = me.role === 'operator';
  const { data: all } = useLive(isOperator ? 'providers' : null, api.providers, ['provider'], POLL_MS);
  const own = me.providers.map(({ provider_id, provider_name }) => ({ id: provider_id, name: provider_name }));
  const data = isOperator ? all : own;
  return (
    <div className="field">
      <label htmlFor={id}>{t('common.provider')}</label>
      <select
        id={id}
        required
        value={value}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      >
        <option value="">{t('studio.choose')}</option>
        {data?.map((provider) => (
          <option key={provider.id} value={provider.id}>
            {provider.name}
          </option>
        ))}
      </select>
    </div>
  );
}

function NewEventForm({ me }: { me: Me }) {
  const id = useId();
  const only = me.role !== 'operator' && me.providers.length === 1 ? me.providers[0]?.provider_id : undefined;
  const [draft, setDraft] = useState(() => ({ provider: only ?? '', ...emptyDraft(Date.now()) }));
  const [repeat, setRepeat] = useState(NO_REPEAT);
  const [fault, setFault] = useState<string | null>(null);
  const { busy, error, run } = useAction();
  const change = (part: Partial<typeof draft>): void => {
    setDraft({ ...draft, ...part });
    setFault(null);
  };
  const submit = (): void => {
    const problem = problemOf(draft) ?? repeatProblemOf(repeat, draft.starts);
    const found = draft.provider === '' ? t('studio.chooseProvider') : problem;
    setFault(found);
    if (found !== null) return;
    void run(async () => {
      const created = await api.createEvent({
        provider_id: draft.provider,
        ...contentOf(draft),
        ...phraseOf(draft),
        ...repeatOf(repeat),
      });
      navigate(to.studioEvent(created.id));
    });
  };
  return (
    <form
      className="panel"
      noValidate
      aria-labelledby={`${id}h`}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <h2 id={`${id}h`}>{t('studio.newEvent')}</h2>
      {error && <ErrorNotice error={error} />}
      {fault !== null && (
        <p className="notice notice-bad" role="alert">
          {fault}
        </p>
      )}
      {only === undefined && (
        <ProviderField
          me={me}
          value={draft.provider}
          onChange={(provider) => {
            change({ provider });
          }}
        />
      )}
      <EventFields draft={draft} onChange={change} />
      <RepeatFields
        draft={repeat}
        onChange={(changed) => {
          setRepeat(changed);
          setFault(null);
        }}
      />
      <OverlapNote draft={draft} provider={draft.provider} own={null} />
      <button type="submit" className="button button-primary" disabled={busy}>
        {busy ? t('studio.creating') : t('studio.createEvent')}
      </button>
    </form>
  );
}

function EventRow({ event }: { event: LiveEvent }) {
  return (
    <li>
      <Link to={to.studioEvent(event.id)} className="row-link">
        {event.state === 'live' && (
          <span className="row-picture">
            <LivePicture event={event} />
          </span>
        )}
        <span className="row-text">
          <strong>{event.title}</strong>
          <span className="quiet">
            {formatDateTime(event.starts_at)}
            {event.state === 'live' && ` · ${formatViewers(event.stream?.viewers ?? 0)}`}
          </span>
        </span>
        <VisibilityBadge visibility={event.visibility} />
        <StateBadge state={event.state} />
      </Link>
    </li>
  );
}

function MyEvents({ data, error, refresh }: Live<LiveEvent[]>) {
  return (
    <section aria-label={t('studio.events')} className="my-events">
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {data && data.length > 0 && (
        <ul className="rows">
          {arrange(data).map((event) => (
            <EventRow key={event.id} event={event} />
          ))}
        </ul>
      )}
      {data?.length === 0 && (
        <Empty title={t('studio.noEvents')}>
          <p>{t('studio.noEventsAdvice')}</p>
        </Empty>
      )}
    </section>
  );
}

/** On a phone the form is below the events, and waits for them: it would be pushed down. */
function Workspace({ me }: { me: Me }) {
  const events = useLive('own events', api.ownEvents, ['event', 'session'], POLL_MS);
  return (
    <>
      <div className="page-head">
        <h1>{t('nav.studio')}</h1>
      </div>
      {!events.data && !events.error ? (
        <Loading what={t('studio.loadingEvents')} />
      ) : (
        <div className="columns">
          <MyEvents {...events} />
          <div className="stack">
            <NewEventForm me={me} />
            {me.providers.map((one) => (
              <Team key={one.provider_id} me={me} provider={one.provider_id} name={one.provider_name} />
            ))}
          </div>
        </div>
      )}
    </>
  );
}

export default function Studio() {
  useTitle(t('nav.studio'));
  return (
    <div className="page">
      <ForProviders>{(me) => <Workspace me={me} />}</ForProviders>
    </div>
  );
}
