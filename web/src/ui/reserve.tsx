// Reserves an event to watch or to record: a button for each, pressed while it is reserved for that.

import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';
import { api } from '../kit/portal';
import { includes, purposesFor, toggled } from '../kit/reservable';
import type { LiveEvent, Purpose } from '../kit/types';
import { useAction } from './hooks';
import { ErrorNotice } from './parts';

const LABELS: Readonly<Record<Purpose, PlainKey>> = {
  watch: 'reserve.watch',
  record: 'reserve.record',
  both: 'reserve.both',
};

interface ReserveProps {
  event: LiveEvent;
  /** What it is reserved for; null when it is not. */
  purpose: Purpose | null;
  onChange: () => void;
}

export function Reserve({ event, purpose, onChange }: ReserveProps) {
  const { busy, error, run } = useAction();
  const press = (one: Purpose): void => {
    void run(async () => {
      const next = toggled(event, purpose, one);
      if (next === null) await api.cancelReservation(event.id);
      else await api.reserve(event.id, next);
      onChange();
    });
  };
  const purposes = purposesFor(event);
  // What is over can only be taken off the calendar.
  const shown = purposes.length === 0 && purpose !== null ? [purpose] : purposes;
  if (shown.length === 0 && !error) return null;
  return (
    <div className="reserve">
      {shown.length > 0 && (
        <span className="quiet" aria-hidden="true">
          {purpose === null ? t('reserve.to') : t('reserve.reserved')}
        </span>
      )}
      <fieldset className="chips" aria-label={t('reserve.named', { title: event.title })}>
        {shown.map((one) => (
          <button
            key={one}
            type="button"
            className="chip"
            disabled={busy}
            aria-pressed={includes(purpose, one)}
            onClick={() => {
              press(one);
            }}
          >
            {includes(purpose, one) && <span aria-hidden="true">✓ </span>}
            {t(LABELS[one])}
          </button>
        ))}
      </fieldset>
      {error && <ErrorNotice error={error} />}
    </div>
  );
}
