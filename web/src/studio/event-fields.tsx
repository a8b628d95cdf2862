// The fields of an event, in the form that creates one and in the form that changes one.

import { useId } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';

import { formatSpent } from '../kit/format';
import type { Visibility } from '../kit/types';
import { ownZone, zoneNames } from '../kit/zones';
import { Field } from '../ui/sign-in';
import { type Draft, trueLengthOf, withStart } from './draft';

interface EventFieldsProps {
  draft: Draft;
  /** The visibility that the event has already, null for a new one. */
  visibilityBefore?: Visibility | null;
  onChange: (draft: Draft) => void;
}

const VISIBILITIES: readonly { value: Visibility; label: PlainKey; note: PlainKey }[] = [
  { value: 'public', label: 'visibility.public', note: 'field.publicNote' },
  { value: 'unlisted', label: 'visibility.unlisted', note: 'field.unlistedNote' },
  { value: 'pass_phrase', label: 'visibility.passPhrase', note: 'field.passPhraseNote' },
  { value: 'invited', label: 'visibility.invited', note: 'field.invitedNote' },
];

function VisibilityFields({ draft, visibilityBefore = null, onChange }: EventFieldsProps) {
  const id = useId();
  const isKept = visibilityBefore === 'pass_phrase';
  const note = VISIBILITIES.find(({ value }) => value === draft.visibility)?.note;
  return (
    <>
      <div className="field">
        <label htmlFor={`${id}w`}>{t('field.whoCanWatch')}</label>
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
              {t(label)}
            </option>
          ))}
        </select>
        <small id={`${id}n`} className="quiet">
          {note && t(note)}
        </small>
      </div>
      {draft.visibility === 'pass_phrase' && (
        <Field
          label={t('visibility.passPhrase')}
          name="pass_phrase"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={128}
          value={draft.passPhrase}
          note={isKept ? t('field.keepPhrase') : t('field.newPhrase')}
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
  const lastsS = trueLengthOf(draft);
  return (
    <>
      <div className="field">
        <label htmlFor={`${id}t`}>{t('field.title')}</label>
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
        <label htmlFor={`${id}d`}>{t('field.description')}</label>
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
          <label htmlFor={`${id}s`}>{t('field.start')}</label>
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
          <label htmlFor={`${id}e`}>{t('field.end')}</label>
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
      {lastsS !== null && (
        <p role="status" className="quiet">
          {t('field.clocksChange', { length: formatSpent(lastsS) })}
        </p>
      )}
      <div className="field">
        <label htmlFor={`${id}z`}>{t('field.zoneOfTimes')}</label>
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
          {t('field.alsoVp8')}
        </label>
        <p id={`${id}v`} className="quiet tick-note">
          {t('field.vp8Note')}
        </p>
      </div>
    </>
  );
}
