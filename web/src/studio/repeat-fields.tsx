// The fields that repeat a new event.

import { useId } from 'react';

import { Field } from '../ui/sign-in';
import { MOST, type RepeatDraft } from './repeat';

const UNITS: readonly [RepeatDraft['unit'], string][] = [
  ['none', 'Once'],
  ['day', 'Every day'],
  ['week', 'Every week'],
  ['month', 'Every month'],
];

interface RepeatFieldsProps {
  draft: RepeatDraft;
  onChange: (draft: RepeatDraft) => void;
}

export function RepeatFields({ draft, onChange }: RepeatFieldsProps) {
  const id = useId();
  return (
    <>
      <div className="field">
        <label htmlFor={`${id}u`}>How often</label>
        <select
          id={`${id}u`}
          name="repeat"
          value={draft.unit}
          onChange={(event) => {
            const chosen = UNITS.find(([value]) => value === event.target.value);
            onChange({ ...draft, unit: chosen?.[0] ?? 'none' });
          }}
        >
          {UNITS.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </div>
      {draft.unit !== 'none' && (
        <>
          <div className="pair">
            <Field
              label={`After how many ${draft.unit}s`}
              name="every"
              type="number"
              min={1}
              max={99}
              value={draft.every}
              onChange={(every) => {
                onChange({ ...draft, every });
              }}
            />
            <div className="field">
              <label htmlFor={`${id}e`}>Until</label>
              <select
                id={`${id}e`}
                value={draft.end}
                onChange={(event) => {
                  onChange({ ...draft, end: event.target.value === 'until' ? 'until' : 'count' });
                }}
              >
                <option value="count">A number of events</option>
                <option value="until">A day</option>
              </select>
            </div>
          </div>
          {draft.end === 'count' ? (
            <Field
              label="Number of events"
              name="count"
              type="number"
              min={2}
              max={MOST}
              value={draft.count}
              onChange={(count) => {
                onChange({ ...draft, count });
              }}
            />
          ) : (
            <Field
              label="Last day"
              name="until"
              type="date"
              value={draft.until}
              onChange={(until) => {
                onChange({ ...draft, until });
              }}
            />
          )}
          <p className="quiet">
            Each is an event of its own, at the same time by the clock of its zone. A month without the day has none.
          </p>
        </>
      )}
    </>
  );
}
