// The form that changes an event. It never overwrites another person’s change.

import { useEffect, useId, useRef, useState } from 'react';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import type { LiveEvent } from '../kit/types';
import { useAction } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';
import { Conflict, currentOf } from './conflict';
import { changesOf, draftOf, problemOf } from './draft';
import { EventFields } from './event-fields';
import { OverlapNote } from './overlap-note';

interface EditEventProps {
  /** The newest state of the event; the form keeps the one that it was opened with. */
  event: LiveEvent;
  onDone: () => void;
  onClose: () => void;
}

export function EditEvent({ event, onDone, onClose }: EditEventProps) {
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const [base, setBase] = useState(event);
  const [draft, setDraft] = useState(() => draftOf(event));
  const [following, setFollowing] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const { busy, error, run, clear } = useAction();
  const begin = (): void => form.current?.querySelector('input')?.focus();
  useEffect(begin, []);

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
      await (following ? api.changeFollowing(base.id, changes) : api.changeEvent(base.id, changes));
      onDone();
      onClose();
    });
  };
  const current = currentOf(error);

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
      <h2 id={`${id}h`}>{t('edit.heading')}</h2>
      {current && (
        <Conflict
          draft={draft}
          current={current}
          onTake={() => {
            setBase(current);
            setDraft(draftOf(current));
            clear();
            begin();
          }}
          onKeep={() => {
            setBase(current);
            clear();
            begin();
          }}
        />
      )}
      {error && !current && <ErrorNotice error={error} />}
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
      {event.series_id !== null && (
        <label className="tick">
          <input
            name="following"
            type="checkbox"
            checked={following}
            onChange={(ticked) => {
              setFollowing(ticked.target.checked);
            }}
          />
          {t('edit.following')}
        </label>
      )}
      <OverlapNote draft={draft} provider={event.provider_id} own={event.id} />
      <div className="row row-end">
        <button type="button" className="button" onClick={onClose}>
          {t('edit.discard')}
        </button>
        <button type="submit" className="button button-primary" disabled={busy}>
          {busy ? t('common.saving') : t('common.save')}
        </button>
      </div>
    </form>
  );
}
