// Whether an event is recorded for everybody.

import { useState } from 'react';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import type { LiveEvent } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';

const POLL_MS = 30_000;

export function ReplayCard({ event }: { event: LiveEvent }) {
  const load = () => api.replayPolicy(event.id);
  const { data, error, refresh } = useLive(`replay policy ${event.id}`, load, ['event'], POLL_MS);
  const action = useAction();
  // What was chosen, from the click until it is read again.
  const [chosen, setChosen] = useState<boolean | null>(null);
  const choose = (enabled: boolean): void => {
    setChosen(enabled);
    void action
      .run(async () => {
        await api.setReplayPolicy(event.id, enabled);
        refresh();
      })
      .finally(() => {
        setChosen(null);
      });
  };
  return (
    <section className="panel" aria-label={t('recording.title')}>
      <h2>{t('recording.title')}</h2>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      <label className="tick">
        <input
          type="checkbox"
          checked={chosen ?? data?.enabled ?? false}
          disabled={data === null || action.busy}
          onChange={(change) => {
            choose(change.target.checked);
          }}
        />
        {t('replay.forAll')}
      </label>
      <p className="quiet">{t('replay.forAllNote')}</p>
    </section>
  );
}
