// How many watched an event: sums, the curve, and where viewers were; also as tables to download.

import { type ReactNode, useId } from 'react';

import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';
import { formatLength, formatNumber, formatShare } from '../kit/format';
import { api } from '../kit/portal';
import type { LiveEvent, Statistics } from '../kit/types';
import { PROTOCOL_NAMES } from '../player/status';
import { useLive } from '../ui/hooks';
import { ErrorNotice, Loading } from '../ui/parts';
import { curveOf } from './curve';
import { CurveFigure, HEIGHT, WIDTH } from './curve-figure';

const POLL_MS = 15_000;

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
      <Sum name={t('stats.peakViewers')} value={formatNumber(of.peak)} />
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
  const average = formatNumber(of.viewers, 1);
  return (
    <CurveFigure
      fromMs={curve.fromMs}
      toMs={curve.toMs}
      label={(from, to) => t('stats.curve', { from, to, peak: of.peak, average })}
      scale={t('stats.scale', { count: curve.most })}
    >
      <path d={curve.path} />
    </CurveFigure>
  );
}

interface PlainTableProps {
  name: string;
  head: readonly PlainKey[];
  children: ReactNode;
}

function PlainTable({ name, head, children }: PlainTableProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: keyboards can scroll a wide table only when it takes the focus
    <section className="plain-tables" aria-label={name} tabIndex={0}>
      <table className="plain-table">
        <thead>
          <tr>
            {head.map((key) => (
              <th key={key} scope="col">
                {t(key)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

const COUNTS = ['stats.peak', 'stats.sessions', 'stats.watchTime'] as const;

function Places({ of }: { of: Statistics }) {
  if (of.places.length === 0) return null;
  return (
    <PlainTable name={t('stats.places')} head={['stats.accessNode', 'player.edge', 'stats.now', ...COUNTS]}>
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
    </PlainTable>
  );
}

function Protocols({ of }: { of: Statistics }) {
  if (of.protocols.length === 0) return null;
  return (
    <PlainTable name={t('stats.protocols')} head={['player.protocol', ...COUNTS]}>
      {of.protocols.map((one) => (
        <tr key={one.protocol}>
          <td>{one.protocol === 'whep' ? PROTOCOL_NAMES.whep : PROTOCOL_NAMES.hls}</td>
          <td>{one.peak}</td>
          <td>{one.opened}</td>
          <td>{formatShare(one.share, 1)}</td>
        </tr>
      ))}
    </PlainTable>
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
