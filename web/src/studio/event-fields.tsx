// The fields of an event, in the form that creates one and in the form that changes one.

import { useId } from 'react';

import type { Visibility } from '../kit/types';
import { ownZone, zoneNames } from '../kit/zones';
import { Field } from '../ui/sign-in';
import { type Draft, withStart } from './draft';

interface EventFieldsProps {
  draft: Draft;
  /** The visibility that the event has already, null for a new one. */
  visibilityBefore?: Visibility | null;
  onChange: (draft: Draft) => void;
}

const VISIBILITIES: readonly { value: Visibility; label: string; note: string }[] = [
  { value: 'public', label: 'Public', note: 'Everybody finds the event and can watch it.' },
  { value: 'unlisted', label: 'Unlisted', note: 'Only people with the link find it. All of them can watch.' },
  { value: 'pass_phrase', label: 'Pass phrase', note: 'Only people with the link and the pass phrase can watch.' },
  { value: 'invited', label: 'By invitation', note: 'Only accounts that you name on the event’s page can watch.' },
];

function VisibilityFields({ draft, visibilityBefore = null, onChange }: EventFieldsProps) {
  const id = useId();
  const isKept = visibilityBefore === 'pass_phrase';
  return (
    <>
      <div className="field">
        <label htmlFor={`${id}w`}>Who can watch</label>
        <select
          id={`${id}w`}
          name="visibility"
          aria-describedby={`${id}n`}
          value={draft.visibility}
          onChange={(event) => {
            const chosen = VISIBILITIES.find(({ value }) => value === event.target.value);
            onChange({ ...draft, visibility: chosen?.value ?? 'public' });
          }}
        >
          {VISIBILITIES.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
        <small id={`${id}n`} className="quiet">
          {VISIBILITIES.find(({ value }) => value === draft.visibility)?.note}
        </small>
      </div>
      {draft.visibility === 'pass_phrase' && (
        <Field
          label="Pass phrase"
          name="pass_phrase"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={128}
          value={draft.passPhrase}
          note={
            isKept
              ? 'Leave it empty to keep the present one. Another one ends the access of everybody who has the present one.'
              : 'At least 8 characters. It is not shown again: note it, and give it to your viewers with the link.'
          }
          onChange={(passPhrase) => {
            onChange({ ...draft, passPhrase });
          }}
        />
      )}
    </>
  );
}

export function EventFields({ draft, visibilityBefore = null, onChange }: EventFieldsProps) {
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
      <div className="field">
        <label htmlFor={`${id}z`}>Time zone of these times</label>
        <select
          id={`${id}z`}
          name="time_zone"
          value={draft.timeZone}
          onChange={(event) => {
            onChange({ ...draft, timeZone: event.target.value });
          }}
        >
          {zoneNames([ownZone(), draft.timeZone]).map((zone) => (
            <option key={zone}>{zone}</option>
          ))}
        </select>
      </div>
      <VisibilityFields draft={draft} visibilityBefore={visibilityBefore} onChange={onChange} />
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
