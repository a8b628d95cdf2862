// How many watched an event: sums, the curve, and where viewers were; also as tables to download.

import { useId } from 'react';

import { formatLength, formatShare, formatTime } from '../kit/format';
import { api } from '../kit/portal';
import type { LiveEvent, Statistics } from '../kit/types';
import { useLive } from '../ui/hooks';
import { ErrorNotice, Loading } from '../ui/parts';
import { curveOf } from './curve';

const POLL_MS = 15_000;
const WIDTH = 600;
const HEIGHT = 140;

function Sum({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div className="fact">
      <dt>{name}</dt>
      <dd>
        {value}
        {note !== undefined && <small>{note}</small>}
      </dd>
    </div>
  );
}

function Sums({ of }: { of: Statistics }) {
  const average = of.viewers >= 10 ? String(Math.round(of.viewers)) : of.viewers.toFixed(1);
  return (
    <dl className="facts-inline">
      <Sum name="Most at once" value={of.peak.toLocaleString('en')} />
      <Sum name="Average" value={average} />
      <Sum name="Sessions" value={of.sessions.toLocaleString('en')} />
      <Sum name="Watch time" value={formatLength(of.watched_s)} />
      <Sum name="Per session" value={formatLength(of.watched_each_s)} />
      <Sum name="Reservations" value={of.reservations.toLocaleString('en')} />
    </dl>
  );
}

function CurveOf({ of }: { of: Statistics }) {
  const curve = curveOf(of.points, of.point_s, WIDTH, HEIGHT);
  if (!curve) return null;
  const [from, to] = [curve.fromMs, curve.toMs].map((ms) => formatTime(new Date(ms).toISOString()));
  const label = `Viewers from ${from ?? ''} to ${to ?? ''}: at most ${String(of.peak)}, ${of.viewers.toFixed(1)} on average`;
  return (
    <figure className="curve">
      <svg viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT)}`} preserveAspectRatio="none" role="img" aria-label={label}>
        <path d={curve.path} />
      </svg>
      <figcaption aria-hidden="true">
        <span>{from}</span>
        <span>Viewers, scale to {curve.most.toLocaleString('en')}</span>
        <span>{to}</span>
      </figcaption>
    </figure>
  );
}

function Places({ of }: { of: Statistics }) {
  if (of.places.length === 0) return null;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: keyboards can scroll a wide table only when it takes the focus
    <section className="plain-tables" aria-label="Where viewers were" tabIndex={0}>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Access node</th>
            <th scope="col">Edge</th>
            <th scope="col">Now</th>
            <th scope="col">Most</th>
            <th scope="col">Sessions</th>
            <th scope="col">Watch time</th>
          </tr>
        </thead>
        <tbody>
          {of.places.map((one) => (
            <tr key={`${one.access_node} ${one.edge_node}`}>
              <td>{one.access_node}</td>
              <td>{one.edge_node}</td>
              <td>{one.now}</td>
              <td>{one.peak}</td>
              <td>{one.opened}</td>
              <td>{formatShare(one.share, 1)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function StatisticsCard({ event }: { event: LiveEvent }) {
  const id = useId();
  const read = (): Promise<Statistics> => api.statistics(event.id);
  const { data, error, refresh } = useLive(`statistics ${event.id}`, read, ['session'], POLL_MS);
  const path = `/api/v1/events/${encodeURIComponent(event.id)}/statistics.csv`;
  return (
    <section className="panel" aria-labelledby={`${id}h`}>
      <h2 id={`${id}h`}>Viewers</h2>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {!data && !error && <Loading what="Loading the numbers" />}
      {data && <Sums of={data} />}
      {data && data.points.length === 0 && <p className="quiet">Nobody has watched yet.</p>}
      {data && <CurveOf of={data} />}
      {data && <Places of={data} />}
      {data && data.points.length > 0 && (
        <p className="row row-start">
          <a className="button button-small" href={path} download>
            Curve as CSV
          </a>
          <a className="button button-small" href={`${path}?table=places`} download>
            Places as CSV
          </a>
        </p>
      )}
      <p className="quiet">Somebody who comes back opens another session. The numbers follow within 30 seconds.</p>
    </section>
  );
}
