// The form that changes an event. It never overwrites another person’s change.

import { useEffect, useId, useRef, useState } from 'react';

import { api } from '../kit/portal';
import type { LiveEvent } from '../kit/types';
import { useAction } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';
import { changesOf, draftOf, problemOf } from './draft';
import { EventFields } from './event-fields';

interface EditEventProps {
  /** The newest state of the event; the form keeps the one that it was opened with. */
  event: LiveEvent;
  onDone: () => void;
  onClose: () => void;
}

const STALE = 'umbel.version_mismatch';

export function EditEvent({ event, onDone, onClose }: EditEventProps) {
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const [base, setBase] = useState(event);
  const [draft, setDraft] = useState(() => draftOf(event));
  const [fault, setFault] = useState<string | null>(null);
  const { busy, error, run, clear } = useAction();
  useEffect(() => {
    form.current?.querySelector('input')?.focus();
  }, []);

  const submit = (): void => {
    const found = problemOf(draft, base.visibility);
    setFault(found);
    if (found !== null) return;
    const changes = changesOf(draft, base);
    if (changes === null) {
      onClose();
      return;
    }
    void run(async () => {
      await api.changeEvent(base.id, changes);
      onDone();
      onClose();
    });
  };
  const startAgain = async (): Promise<void> => {
    const now = await api.event(base.id).catch(() => event);
    setBase(now);
    setDraft(draftOf(now));
    clear();
  };

  return (
    <form
      ref={form}
      className="panel"
      noValidate
      aria-labelledby={`${id}h`}
      onSubmit={(submitted) => {
        submitted.preventDefault();
        submit();
      }}
    >
      <h2 id={`${id}h`}>Edit event</h2>
      {error?.code === STALE && (
        <div className="notice notice-warn" role="alert">
          <p>Somebody changed this event after you opened the form. Nothing was saved.</p>
          <button type="button" className="button button-small" onClick={() => void startAgain()}>
            Show the new version
          </button>
        </div>
      )}
      {error && error.code !== STALE && <ErrorNotice error={error} />}
      {fault !== null && (
        <p className="notice notice-bad" role="alert">
          {fault}
        </p>
      )}
      <EventFields
        draft={draft}
        visibilityBefore={base.visibility}
        onChange={(changed) => {
          setDraft(changed);
          setFault(null);
        }}
      />
      <div className="row row-end">
        <button type="button" className="button" onClick={onClose}>
          Discard changes
        </button>
        <button type="submit" className="button button-primary" disabled={busy}>
          {busy ? 'Saving' : 'Save'}
        </button>
      </div>
    </form>
  );
}
