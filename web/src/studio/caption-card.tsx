// Whether speech is recognised in an event, and in which language.

import { useState } from 'react';

import { api } from '../kit/portal';
import type { LiveEvent } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';

const POLL_MS = 15_000;
const USUAL = 'en-US';

export function CaptionCard({ event }: { event: LiveEvent }) {
  const load = () => api.captionPolicy(event.id);
  const { data, error, refresh } = useLive(`caption policy ${event.id}`, load, [], POLL_MS);
  const action = useAction();
  const [typed, setTyped] = useState<string | null>(null);
  const language = typed ?? data?.language ?? USUAL;
  const isOn = data?.language != null;
  const set = (wanted: string | null): void => {
    void action.run(async () => {
      await api.setCaptionPolicy(event.id, wanted);
      setTyped(null);
      refresh();
    });
  };
  if (data && !data.available && !isOn) return null;
  return (
    <section className="panel" aria-label="Captions">
      <h2>Captions</h2>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      <label className="tick">
        <input
          type="checkbox"
          checked={isOn}
          disabled={data === null || action.busy}
          onChange={(change) => {
            set(change.target.checked ? language : null);
          }}
        />
        Caption what is said
      </label>
      <form
        className="row row-start"
        onSubmit={(submitted) => {
          submitted.preventDefault();
          set(language);
        }}
      >
        <label className="field">
          Language spoken
          <input
            value={language}
            maxLength={30}
            spellCheck={false}
            onChange={(change) => {
              setTyped(change.target.value);
            }}
          />
        </label>
        {isOn && typed !== null && typed !== data.language && (
          <button type="submit" className="button button-small" disabled={action.busy}>
            Change language
          </button>
        )}
      </form>
      {isOn && data.problem !== '' && (
        <p className="notice notice-bad" role="status">
          {data.problem}
        </p>
      )}
      <p className="quiet">
        A program recognises speech, and makes mistakes. Viewers switch captions on in the player; they are kept with
        the event, and can be searched. A language is written as a tag such as en-US or de.
      </p>
    </section>
  );
}
