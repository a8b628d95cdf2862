// The fields that repeat a new event.

import { useId } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';

import { Field } from '../ui/sign-in';
import { MOST, type RepeatDraft } from './repeat';

const UNITS: readonly [RepeatDraft['unit'], PlainKey][] = [
  ['none', 'repeat.once'],
  ['day', 'repeat.day'],
  ['week', 'repeat.week'],
  ['month', 'repeat.month'],
];

const EVERY = { day: 'repeat.everyDays', week: 'repeat.everyWeeks', month: 'repeat.everyMonths' } as const;

interface RepeatFieldsProps {
  draft: RepeatDraft;
  onChange: (draft: RepeatDraft) => void;
}

export function RepeatFields({ draft, onChange }: RepeatFieldsProps) {
  const id = useId();
  return (
    <>
      <div className="field">
        <label htmlFor={`${id}u`}>{t('repeat.howOften')}</label>
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
              {t(label)}
            </option>
          ))}
        </select>
      </div>
      {draft.unit !== 'none' && (
        <>
          <div className="pair">
            <Field
              label={t(EVERY[draft.unit])}
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
              <label htmlFor={`${id}e`}>{t('repeat.until')}</label>
              <select
                id={`${id}e`}
                value={draft.end}
                onChange={(event) => {
                  onChange({ ...draft, end: event.target.value === 'until' ? 'until' : 'count' });
                }}
              >
                <option value="count">{t('repeat.number')}</option>
                <option value="until">{t('repeat.aDay')}</option>
              </select>
            </div>
          </div>
          {draft.end === 'count' ? (
            <Field
              label={t('repeat.count')}
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
              label={t('repeat.lastDay')}
              name="until"
              type="date"
              value={draft.until}
              onChange={(until) => {
                onChange({ ...draft, until });
              }}
            />
          )}
          <p className="quiet">{t('repeat.about')}</p>
        </>
      )}
    </>
  );
}
