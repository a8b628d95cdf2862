// When and how to be reminded: lead times that are on or off, one's own among them, and channels.

import { useId, useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';

import { leadText } from '../kit/reminders';
import type { ReminderChannel } from '../kit/types';

export interface ReminderChoice {
  leads_s: number[];
  channels: ReminderChannel[];
}

const USUAL = [86_400, 3_600, 300];
const MOST_LEADS = 5;
const SHORTEST_S = 60;
const LONGEST_S = 604_800;
const UNITS: readonly { unitS: number; name: PlainKey }[] = [
  { unitS: 60, name: 'reminders.minutes' },
  { unitS: 3_600, name: 'reminders.hours' },
  { unitS: 86_400, name: 'reminders.days' },
];
const CHANNELS: readonly { channel: ReminderChannel; label: PlainKey }[] = [
  { channel: 'page', label: 'reminders.page' },
  { channel: 'mail', label: 'reminders.mail' },
  { channel: 'push', label: 'reminders.push' },
];

interface FieldsProps {
  value: ReminderChoice;
  onChange: (value: ReminderChoice) => void;
}

function Leads({ value, onChange }: FieldsProps) {
  const shown = [...new Set([...USUAL, ...value.leads_s])].sort((a, b) => b - a);
  const isFull = value.leads_s.length >= MOST_LEADS;
  return (
    <fieldset className="choice">
      <legend>{t('reminders.before')}</legend>
      <div className="chips">
        {shown.map((lead) => {
          const isOn = value.leads_s.includes(lead);
          const next = isOn ? value.leads_s.filter((one) => one !== lead) : [...value.leads_s, lead];
          return (
            <button
              key={lead}
              type="button"
              className="chip"
              aria-pressed={isOn}
              disabled={!isOn && isFull}
              onClick={() => {
                onChange({ ...value, leads_s: next });
              }}
            >
              {isOn && <span aria-hidden="true">✓ </span>}
              {leadText(lead)}
            </button>
          );
        })}
      </div>
    </fieldset>
  );
}

function OwnLead({ value, onChange }: FieldsProps) {
  const id = useId();
  const [count, setCount] = useState('30');
  const [unitS, setUnitS] = useState(60);
  const lead = Math.round(Number(count) * unitS);
  const isFull = value.leads_s.length >= MOST_LEADS;
  const isGood = lead >= SHORTEST_S && lead <= LONGEST_S && !value.leads_s.includes(lead) && !isFull;
  return (
    <fieldset className="choice">
      <legend>{t('reminders.another')}</legend>
      <div className="row row-start own-lead">
        <input
          type="number"
          min={1}
          max={10_080}
          aria-label={t('reminders.howMany')}
          aria-describedby={`${id}n`}
          value={count}
          onChange={(event) => {
            setCount(event.target.value);
          }}
        />
        <select
          aria-label={t('reminders.unit')}
          value={unitS}
          onChange={(event) => {
            setUnitS(Number(event.target.value));
          }}
        >
          {UNITS.map((unit) => (
            <option key={unit.unitS} value={unit.unitS}>
              {t(unit.name)}
            </option>
          ))}
        </select>
        <button
          type="button"
          className="button"
          disabled={!isGood}
          onClick={() => {
            onChange({ ...value, leads_s: [...value.leads_s, lead] });
          }}
        >
          {t('common.add')}
        </button>
      </div>
      <small id={`${id}n`} className="quiet">
        {isFull ? t('reminders.full') : t('reminders.range')}
      </small>
    </fieldset>
  );
}

function Channels({ value, onChange }: FieldsProps) {
  return (
    <fieldset className="choice">
      <legend>{t('reminders.how')}</legend>
      {CHANNELS.map(({ channel, label }) => (
        <label key={channel} className="tick">
          <input
            type="checkbox"
            checked={value.channels.includes(channel)}
            onChange={(event) => {
              const others = value.channels.filter((one) => one !== channel);
              onChange({ ...value, channels: event.target.checked ? [...others, channel] : others });
            }}
          />
          {t(label)}
        </label>
      ))}
    </fieldset>
  );
}

export function ReminderFields(props: FieldsProps) {
  return (
    <>
      <Leads {...props} />
      <OwnLead {...props} />
      <Channels {...props} />
    </>
  );
}
