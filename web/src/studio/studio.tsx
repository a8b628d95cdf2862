// A provider's events, and the form that makes a new one.

import { useId, useState } from 'react';

import { formatDateTime, formatViewers, fromLocalInput, toLocalInput } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { EventState, LiveEvent, Me } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { Link, navigate, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, Loading, StateBadge } from '../ui/parts';
import { ForProviders } from './account';

const POLL_MS = 15_000;
const HOUR_MS = 3_600_000;

const ORDER: readonly EventState[] = ['live', 'open', 'scheduled', 'ended', 'cancelled'];

/** What needs the provider first comes first; within a state the soonest, of what is over the latest. */
export function arrange(events: readonly LiveEvent[]): LiveEvent[] {
  const begin = (event: LiveEvent): number => Date.parse(event.starts_at);
  const over = (event: LiveEvent): boolean => event.state === 'ended' || event.state === 'cancelled';
  return [...events].sort(
    (a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (over(a) ? begin(b) - begin(a) : begin(a) - begin(b)),
  );
}

interface Draft {
  provider: string;
  title: string;
  description: string;
  starts: string;
  ends: string;
}

function emptyDraft(provider: string): Draft {
  const nowMs = Date.now();
  return { provider, title: '', description: '', starts: toLocalInput(nowMs), ends: toLocalInput(nowMs + HOUR_MS) };
}

/** Why a draft cannot be sent, null when it can. */
export function problemOf(draft: Draft): string | null {
  const starts = fromLocalInput(draft.starts);
  const ends = fromLocalInput(draft.ends);
  if (draft.provider === '') return 'Choose a provider.';
  if (draft.title.trim() === '') return 'Enter a title.';
  if (starts === null || ends === null) return 'Enter a start and an end.';
  return Date.parse(ends) > Date.parse(starts) ? null : 'The end must be after the start.';
}

function ProviderField({ value, onChange }: { value: string; onChange: (id: string) => void }) {
  const id = useId();
  const { data } = useLive('providers', api.providers, ['provider'], POLL_MS);
  return (
    <div className="field">
      <label htmlFor={id}>Provider</label>
      <select
        id={id}
        required
        value={value}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      >
        <option value="">Choose…</option>
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
  const [draft, setDraft] = useState(() => emptyDraft(me.provider_id ?? ''));
  const [fault, setFault] = useState<string | null>(null);
  const { busy, error, run } = useAction();
  const change = (part: Partial<Draft>): void => {
    setDraft({ ...draft, ...part });
    setFault(null);
  };
  const moveStart = (starts: string): void => {
    const moved = Date.parse(starts) + Date.parse(draft.ends) - Date.parse(draft.starts);
    change(Number.isNaN(moved) ? { starts } : { starts, ends: toLocalInput(moved) });
  };
  const submit = (): void => {
    const found = problemOf(draft);
    setFault(found);
    if (found !== null) return;
    void run(async () => {
      const created = await api.createEvent({
        provider_id: draft.provider,
        title: draft.title.trim(),
        description: draft.description.trim(),
        starts_at: fromLocalInput(draft.starts) ?? '',
        ends_at: fromLocalInput(draft.ends) ?? '',
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
      <h2 id={`${id}h`}>New event</h2>
      {error && <ErrorNotice error={error} />}
      {fault !== null && (
        <p className="notice notice-bad" role="alert">
          {fault}
        </p>
      )}
      {me.provider_id === null && (
        <ProviderField
          value={draft.provider}
          onChange={(provider) => {
            change({ provider });
          }}
        />
      )}
      <div className="field">
        <label htmlFor={`${id}t`}>Title</label>
        <input
          id={`${id}t`}
          name="title"
          maxLength={200}
          required
          value={draft.title}
          onChange={(event) => {
            change({ title: event.target.value });
          }}
        />
      </div>
      <div className="field">
        <label htmlFor={`${id}d`}>Description</label>
        <textarea
          id={`${id}d`}
          name="description"
          rows={3}
          value={draft.description}
          onChange={(event) => {
            change({ description: event.target.value });
          }}
        />
      </div>
      <div className="pair">
        <div className="field">
          <label htmlFor={`${id}s`}>Start</label>
          <input
            id={`${id}s`}
            name="starts"
            type="datetime-local"
            required
            value={draft.starts}
            onChange={(event) => {
              moveStart(event.target.value);
            }}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}e`}>End</label>
          <input
            id={`${id}e`}
            name="ends"
            type="datetime-local"
            required
            value={draft.ends}
            onChange={(event) => {
              change({ ends: event.target.value });
            }}
          />
        </div>
      </div>
      <p className="quiet">Times are in your time zone ({Intl.DateTimeFormat().resolvedOptions().timeZone}).</p>
      <button type="submit" className="button button-primary" disabled={busy}>
        {busy ? 'Creating' : 'Create event'}
      </button>
    </form>
  );
}

function EventRow({ event }: { event: LiveEvent }) {
  return (
    <li>
      <Link to={to.studioEvent(event.id)} className="row-link">
        <span className="row-text">
          <strong>{event.title}</strong>
          <span className="quiet">
            {formatDateTime(event.starts_at)}
            {event.state === 'live' && ` · ${formatViewers(event.stream?.viewers ?? 0)}`}
          </span>
        </span>
        <StateBadge state={event.state} />
      </Link>
    </li>
  );
}

function MyEvents({ me }: { me: Me }) {
  const { data, error, refresh } = useLive('events', api.events, ['event', 'session'], POLL_MS);
  const mine = data?.filter((event) => me.role === 'operator' || event.provider_id === me.provider_id);
  return (
    <section aria-label="Events" className="my-events">
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {mine && mine.length > 0 && (
        <ul className="rows">
          {arrange(mine).map((event) => (
            <EventRow key={event.id} event={event} />
          ))}
        </ul>
      )}
      {mine?.length === 0 && (
        <Empty title="No events yet">
          <p>Create one, then push a stream to it from your encoder.</p>
        </Empty>
      )}
      {!data && !error && <Loading what="Loading your events" />}
    </section>
  );
}

export default function Studio() {
  useTitle('Studio');
  return (
    <div className="page">
      <ForProviders>
        {(me) => (
          <>
            <div className="page-head">
              <h1>Studio</h1>
            </div>
            <div className="columns">
              <MyEvents me={me} />
              <NewEventForm me={me} />
            </div>
          </>
        )}
      </ForProviders>
    </div>
  );
}
