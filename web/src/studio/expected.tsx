// How many viewers an event is expected to have, next to how many came.

import { useId } from 'react';

import { t } from '../i18n/t';
import { formatNumber } from '../kit/format';
import { api } from '../kit/portal';
import type { Demand, LiveEvent } from '../kit/types';
import { useLive } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';
import { CurveFigure, HEIGHT, WIDTH } from './curve-figure';
import { expectedCurveOf } from './expected-curve';

const POLL_MS = 30_000;

function Curve({ of }: { of: Demand }) {
  const curve = expectedCurveOf(of.points, WIDTH, HEIGHT);
  if (!curve) return null;
  return (
    <CurveFigure
      fromMs={curve.fromMs}
      toMs={curve.toMs}
      label={(from, to) => t('stats.expectedCurve', { from, to })}
      scale={t('stats.expectedScale', { count: curve.most })}
    >
      <path d={curve.actual} />
      <path className="curve-expected" d={curve.expected} />
    </CurveFigure>
  );
}

export function ExpectedCard({ event }: { event: LiveEvent }) {
  const id = useId();
  const read = (): Promise<Demand> => api.demand(event.id);
  const { data, error, refresh } = useLive(`demand ${event.id}`, read, ['event'], POLL_MS);
  // Not drawn before it is known: most events have none, and what is below would move up.
  if (data ? data.predicted_at === null : !error) return null;
  return (
    <section className="panel" aria-labelledby={`${id}h`}>
      <h2 id={`${id}h`}>{t('stats.expected')}</h2>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {data && (
        <p>
          {t('stats.expectedPeak', {
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
