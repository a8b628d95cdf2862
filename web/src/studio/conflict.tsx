// Both versions of an event that two people changed: what is saved, and what is typed here.

import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';
import type { ApiError } from '../kit/api';
import type { LiveEvent } from '../kit/types';
import { type Draft, draftOf } from './draft';

/** The event as it is now, out of a refusal to overwrite it; null where the refusal is another. */
export function currentOf(error: ApiError | null): LiveEvent | null {
  const current = error?.details['current'];
  const isStale = error?.code === 'umbel.version_mismatch' || error?.code === 'umbel.event_changed';
  return isStale && typeof current === 'object' ? (current as LiveEvent) : null;
}

type Shown = Exclude<keyof Draft, 'opened' | 'lastStart'>;

const NAMES: readonly [Shown, PlainKey][] = [
  ['title', 'field.title'],
  ['description', 'field.description'],
  ['starts', 'field.start'],
  ['ends', 'field.end'],
  ['timeZone', 'field.timeZone'],
  ['visibility', 'field.whoCanWatch'],
  ['vp8', 'field.vp8'],
];

export interface Difference {
  name: string;
  saved: string;
  typed: string;
}

/** The fields in which the form differs from what is saved now. */
export function differences(draft: Draft, current: LiveEvent): Difference[] {
  const saved = draftOf(current);
  const text = (value: Draft[Shown]): string => {
    if (typeof value === 'boolean') return value ? t('common.yes') : t('common.no');
    return value.replace('T', ' ').trim() === '' ? t('conflict.empty') : value;
  };
  return NAMES.filter(([key]) => saved[key] !== draft[key]).map(([key, name]) => ({
    name: t(name),
    saved: text(saved[key]),
    typed: text(draft[key]),
  }));
}

interface ConflictProps {
  draft: Draft;
  current: LiveEvent;
  onKeep: () => void;
  onTake: () => void;
}

export function Conflict({ draft, current, onKeep, onTake }: ConflictProps) {
  const found = differences(draft, current);
  return (
    <div className="notice notice-warn conflict" role="alert">
      <p>{t('conflict.about')}</p>
      {found.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">{t('conflict.field')}</th>
              <th scope="col">{t('conflict.saved')}</th>
              <th scope="col">{t('conflict.typed')}</th>
            </tr>
          </thead>
          <tbody>
            {found.map(({ name, saved, typed }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{saved}</td>
                <td>{typed}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <div className="row row-start">
        <button type="button" className="button button-small" onClick={onTake}>
          {t('conflict.show')}
        </button>
        <button type="button" className="button button-small" onClick={onKeep}>
          {t('conflict.keep')}
        </button>
      </div>
    </div>
  );
}
