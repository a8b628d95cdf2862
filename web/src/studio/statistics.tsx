// How many watched an event: sums, the curve, and where viewers were; also as tables to download.

import { useId } from 'react';
import { t } from '../i18n/t';

import { formatLength, formatNumber, formatShare, formatTime } from '../kit/format';
import { api } from '../kit/portal';
import type { LiveEvent, Statistics } from '../kit/types';
import { PROTOCOL_NAMES } from '../player/status';
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
  const average = formatNumber(of.viewers, of.viewers >= 10 ? 0 : 1);
  return (
    <dl className="facts-inline">
      <Sum name={t('stats.mostAtOnce')} value={formatNumber(of.peak)} />
      <Sum name={t('stats.average')} value={average} />
      <Sum name={t('stats.sessions')} value={formatNumber(of.sessions)} />
      <Sum name={t('stats.watchTime')} value={formatLength(of.watched_s)} />
      <Sum name={t('stats.perSession')} value={formatLength(of.watched_each_s)} />
      <Sum name={t('stats.reservations')} value={formatNumber(of.reservations)} />
    </dl>
  );
}

function CurveOf({ of }: { of: Statistics }) {
  const curve = curveOf(of.points, of.point_s, WIDTH, HEIGHT);
  if (!curve) return null;
  const [from, to] = [curve.fromMs, curve.toMs].map((ms) => formatTime(new Date(ms).toISOString()));
  const label = t('stats.curve', {
    from: from ?? '',
    to: to ?? '',
    peak: of.peak,
    average: formatNumber(of.viewers, 1),
  });
  return (
    <figure className="curve">
      <svg viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT)}`} preserveAspectRatio="none" role="img" aria-label={label}>
        <path d={curve.path} />
      </svg>
      <figcaption aria-hidden="true">
        <span>{from}</span>
        <span>{t('stats.scale', { count: curve.most })}</span>
        <span>{to}</span>
      </figcaption>
    </figure>
  );
}

function Places({ of }: { of: Statistics }) {
  if (of.places.length === 0) return null;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: keyboards can scroll a wide table only when it takes the focus
    <section className="plain-tables" aria-label={t('stats.places')} tabIndex={0}>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">{t('stats.accessNode')}</th>
            <th scope="col">{t('player.edge')}</th>
            <th scope="col">{t('stats.now')}</th>
            <th scope="col">{t('stats.most')}</th>
            <th scope="col">{t('stats.sessions')}</th>
            <th scope="col">{t('stats.watchTime')}</th>
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

function Protocols({ of }: { of: Statistics }) {
  if (of.protocols.length === 0) return null;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: keyboards can scroll a wide table only when it takes the focus
    <section className="plain-tables" aria-label={t('stats.protocols')} tabIndex={0}>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">{t('player.protocol')}</th>
            <th scope="col">{t('stats.most')}</th>
            <th scope="col">{t('stats.sessions')}</th>
            <th scope="col">{t('stats.watchTime')}</th>
          </tr>
        </thead>
        <tbody>
          {of.protocols.map((one) => (
            <tr key={one.protocol}>
              <td>{one.protocol === 'whep' ? PROTOCOL_NAMES.whep : PROTOCOL_NAMES.hls}</td>
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
      <h2 id={`${id}h`}>{t('common.viewers')}</h2>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {!data && !error && <Loading what={t('stats.loading')} />}
      {data && <Sums of={data} />}
      {data && data.points.length === 0 && <p className="quiet">{t('stats.none')}</p>}
      {data && <CurveOf of={data} />}
      {data && <Places of={data} />}
      {data && <Protocols of={data} />}
      {data && data.points.length > 0 && (
        <p className="row row-start">
          <a className="button button-small" href={path} download>
            {t('stats.curveCsv')}
          </a>
          <a className="button button-small" href={`${path}?table=places`} download>
            {t('stats.placesCsv')}
          </a>
          <a className="button button-small" href={`${path}?table=protocols`} download>
            {t('stats.protocolsCsv')}
          </a>
        </p>
      )}
      <p className="quiet">{t('stats.about')}</p>
    </section>
  );
}
