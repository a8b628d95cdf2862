// What the platform keeps of what one watched, and how to have it forgotten.

import { useState } from 'react';

import { api } from '../kit/portal';
import { useAction } from '../ui/hooks';
import { Confirm, ErrorNotice } from '../ui/parts';

export function WatchedPanel({ onForget }: { onForget: () => void }) {
  const [asks, setAsks] = useState(false);
  const { busy, error, run } = useAction();
  return (
    <section className="panel" aria-labelledby="watched-heading">
      <h2 id="watched-heading">What you watched</h2>
      <p className="quiet">
        What you watch while you are signed in is marked here, with the time that it played. Only you see it. What you
        watch without signing in is not kept.
      </p>
      {error && <ErrorNotice error={error} />}
      <div className="row row-start">
        <button
          type="button"
          className="button button-danger"
          disabled={busy}
          onClick={() => {
            setAsks(true);
          }}
        >
          Forget all
        </button>
      </div>
      {asks && (
        <Confirm
          title="Forget what you watched?"
          action="Forget it"
          onConfirm={() => {
            void run(async () => {
              await api.forgetWatched();
              onForget();
            });
          }}
          onClose={() => {
            setAsks(false);
          }}
        >
          <p>The marks of all events that you watched are removed. Reservations stay.</p>
        </Confirm>
      )}
    </section>
  );
}
