// What a search finds in captions; each leads to the moment in the event's recording.

import { useId, useState } from 'react';
import { t } from '../i18n/t';

import { formatPosition } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { FoundCaption, LiveEvent } from '../kit/types';
import { useLive } from '../ui/hooks';
import { Link } from '../ui/navigation';

const POLL_MS = 60_000;
const MOST_LETTERS = 200;
/** So much earlier one hears how the sentence begins. */
const BEFORE_S = 2;

function Result({ found, hasTitle }: { found: FoundCaption; hasTitle: boolean }) {
  const { position_s: positionS } = found;
  const address =
    positionS === null ? to.watch(found.event_id) : to.moment(found.event_id, Math.max(0, positionS - BEFORE_S));
  return (
    <li>
      <Link to={address} className="provider-link">
        <strong>{t('common.quoted', { text: found.text })}</strong>
        <span className="quiet">
          {[
            hasTitle ? found.event_title : '',
            positionS === null ? t('said.notRecorded') : t('said.at', { position: formatPosition(positionS) }),
          ]
            .filter((one) => one !== '')
            .join(', ')}
        </span>
      </Link>
    </li>
  );
}

function Results({ query, event }: { query: string; event: LiveEvent | null }) {
  const key = query === '' ? null : `said ${event?.id ?? ''} ${query}`;
  const { data } = useLive(key, () => api.searchCaptions(query, event?.id), [], POLL_MS);
  if (data === null) return null;
  if (data.length === 0) return event && <p className="quiet">{t('said.nothing')}</p>;
  return (
    <ul className="providers" data-testid="said">
      {data.map((found) => (
        <Result key={`${found.event_id} ${String(found.number)}`} found={found} hasTitle={event === null} />
      ))}
    </ul>
  );
}

/** In all events that everybody finds; nothing where there is nothing. */
export function SaidAnywhere({ query }: { query: string }) {
  const id = useId();
  const { data } = useLive(query === '' ? null : `any said ${query}`, () => api.searchCaptions(query), [], POLL_MS);
  if (data === null || data.length === 0) return null;
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{t('said.inEvents')}</h2>
      <ul className="providers" data-testid="said">
        {data.map((found) => (
          <Result key={`${found.event_id} ${String(found.number)}`} found={found} hasTitle />
        ))}
      </ul>
    </section>
  );
}

/** In one event, where a result leads to its recording. */
export function SaidHere({ event, isRecorded }: { event: LiveEvent; isRecorded: boolean }) {
  const id = useId();
  const [query, setQuery] = useState('');
  if (!isRecorded) return null;
  return (
    <details className="facts">
      <summary>{t('said.search')}</summary>
      <search className="search">
        <label htmlFor={id} className="visually-hidden">
          {t('said.words')}
        </label>
        <input
          id={id}
          type="search"
          placeholder={t('said.words')}
          maxLength={MOST_LETTERS}
          value={query}
          onChange={(change) => {
            setQuery(change.target.value);
          }}
        />
      </search>
      <Results query={query.trim()} event={event} />
    </details>
  );
}
