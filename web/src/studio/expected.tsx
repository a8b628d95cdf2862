// How many viewers an event is expected to have, next to how many came.

import { useId } from 'react';

import { t } from '../i18n/t';
import { formatNumber, formatTime } from '../kit/format';
import { api } from '../kit/portal';
import type { Demand, LiveEvent } from '../kit/types';
import { useLive } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';
import { expectedCurveOf } from './expected-curve';

const POLL_MS = 30_000;
const WIDTH = 600;
const HEIGHT = 140;

function Curve({ of }: { of: Demand }) {
  const curve = expectedCurveOf(of.points, WIDTH, HEIGHT);
  if (!curve) return null;
  const [from, to] = [curve.fromMs, curve.toMs].map((ms) => formatTime(new Date(ms).toISOString()));
  return (
    <figure className="curve">
      <svg
        viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT)}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={t('stats.expectedCurve', { from: from ?? '', to: to ?? '' })}
      >
        <path d={curve.present} />
        <path className="curve-expected" d={curve.expected} />
      </svg>
      <figcaption aria-hidden="true">
        <span>{from}</span>
        <span>{t('stats.expectedScale', { count: curve.most })}</span>
        <span>{to}</span>
      </figcaption>
    </figure>
  );
}

export function ExpectedCard({ event }: { event: LiveEvent }) {
  const id = useId();
  const read = (): Promise<Demand> => api.demand(event.id);
  const { data, error, refresh } = useLive(`demand ${event.id}`, read, ['event'], POLL_MS);
  if (data && data.predicted_at === null) return null;
  return (
    <section className="panel" aria-labelledby={`${id}h`}>
      <h2 id={`${id}h`}>{t('stats.expected')}</h2>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {data && (
        <p>
          {t('stats.expectedSum', {
            expected: formatNumber(data.expected),
            reservations: data.reservations,
            earlier: data.earlier_events,
          })}
        </p>
      )}
      {data && <Curve of={data} />}
    </section>
  );
}
