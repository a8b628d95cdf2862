// Whether speech is recognised in an event, and in which language.

import { useState } from 'react';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import type { LiveEvent } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { ErrorNotice } from '../ui/parts';

const POLL_MS = 15_000;
const USUAL = 'en-US';

export function CaptionCard({ event }: { event: LiveEvent }) {
  const load = () => api.captionPolicy(event.id);
  const { data, error, refresh } = useLive(`caption policy ${event.id}`, load, [], POLL_MS);
  const action = useAction();
  const [typed, setTyped] = useState<string | null>(null);
  const language = typed ?? data?.language ?? USUAL;
  const isOn = data?.language != null;
  const set = (wanted: string | null): void => {
    void action.run(async () => {
      await api.setCaptionPolicy(event.id, wanted);
      setTyped(null);
      refresh();
    });
  };
  // Not drawn before it is known: many platforms have none, and what is below would move up.
  if (data ? !data.available && !isOn : !error) return null;
  return (
    <section className="panel" aria-label={t('captions.captions')}>
      <h2>{t('captions.captions')}</h2>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      <label className="tick">
        <input
          type="checkbox"
          checked={isOn}
          disabled={data === null || action.busy}
          onChange={(change) => {
            set(change.target.checked ? language : null);
          }}
        />
        {t('captions.on')}
      </label>
      <form
        className="row row-start"
        onSubmit={(submitted) => {
          submitted.preventDefault();
          set(language);
        }}
      >
        <label className="field">
          {t('captions.language')}
          <input
            value={language}
            maxLength={30}
            spellCheck={false}
            onChange={(change) => {
              setTyped(change.target.value);
            }}
          />
        </label>
        {isOn && typed !== null && typed !== data.language && (
          <button type="submit" className="button button-small" disabled={action.busy}>
            {t('captions.changeLanguage')}
          </button>
        )}
      </form>
      {isOn && data.problem !== '' && (
        <p className="notice notice-bad" role="status">
          {data.problem}
        </p>
      )}
      <p className="quiet">{t('captions.about')}</p>
    </section>
  );
}
