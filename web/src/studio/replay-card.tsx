// Whether an event is recorded for everybody.

import { api } from '../kit/portal';
import type { LiveEvent } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';

const POLL_MS = 30_000;

export function ReplayCard({ event }: { event: LiveEvent }) {
  const load = () => api.replayPolicy(event.id);
  const { data, error, refresh } = useLive(`replay policy ${event.id}`, load, ['event'], POLL_MS);
  const action = useAction();
  return (
    <section className="panel" aria-label="Recording">
      <h2>Recording</h2>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      <label className="tick">
        <input
          type="checkbox"
          checked={data?.enabled ?? false}
          disabled={data === null || action.busy}
          onChange={(change) => {
            const enabled = change.target.checked;
            void action.run(async () => {
              await api.setReplayPolicy(event.id, enabled);
              refresh();
            });
          }}
        />
        Record for everybody
      </label>
      <p className="quiet">
        Viewers may go back while the event is on air, and see it again afterwards. Without this, each viewer can still
        record it for themselves.
      </p>
    </section>
  );
}
