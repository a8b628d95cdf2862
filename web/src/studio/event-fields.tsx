// The fields of an event, in the form that creates one and in the form that changes one.

import { useId } from 'react';

import { type Draft, withStart } from './draft';

interface EventFieldsProps {
  draft: Draft;
  onChange: (draft: Draft) => void;
}

export function EventFields({ draft, onChange }: EventFieldsProps) {
  const id = useId();
  return (
    <>
      <div className="field">
        <label htmlFor={`${id}t`}>Title</label>
        <input
          id={`${id}t`}
          name="title"
          maxLength={200}
          required
          value={draft.title}
          onChange={(event) => {
            onChange({ ...draft, title: event.target.value });
          }}
        />
      </div>
      <div className="field">
        <label htmlFor={`${id}d`}>Description</label>
        <textarea
          id={`${id}d`}
          name="description"
          rows={3}
          maxLength={5000}
          value={draft.description}
          onChange={(event) => {
            onChange({ ...draft, description: event.target.value });
          }}
        />
      </div>
      <div className="pair">
        <div className="field">
          <label htmlFor={`${id}s`}>Start</label>
          <input
            id={`${id}s`}
            name="starts"
            type="datetime-local"
            required
            value={draft.starts}
            onChange={(event) => {
              onChange(withStart(draft, event.target.value));
            }}
          />
        </div>
        <div className="field">
          <label htmlFor={`${id}e`}>End</label>
          <input
            id={`${id}e`}
            name="ends"
            type="datetime-local"
            required
            value={draft.ends}
            onChange={(event) => {
              onChange({ ...draft, ends: event.target.value });
            }}
          />
        </div>
      </div>
      <p className="quiet">Times are in your time zone ({Intl.DateTimeFormat().resolvedOptions().timeZone}).</p>
      <div>
        <label className="tick">
          <input
            name="vp8"
            type="checkbox"
            aria-describedby={`${id}v`}
            checked={draft.vp8}
            onChange={(event) => {
              onChange({ ...draft, vp8: event.target.checked });
            }}
          />
          Also make a VP8 picture, for browsers without H.264
        </label>
        <p id={`${id}v`} className="quiet tick-note">
          Their viewers then see the event as soon as others do, not a second or two later. The picture is made only
          while one of them watches.
        </p>
      </div>
    </>
  );
}
