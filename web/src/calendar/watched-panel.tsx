// What the platform keeps of what one watched, and how to have it forgotten.

import { useState } from 'react';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import { useAction } from '../ui/hooks';
import { Confirm, ErrorNotice } from '../ui/parts';

export function WatchedPanel({ onForget }: { onForget: () => void }) {
  const [asks, setAsks] = useState(false);
  const { busy, error, run } = useAction();
  return (
    <section className="panel" aria-labelledby="watched-heading">
      <h2 id="watched-heading">{t('watched.heading')}</h2>
      <p className="quiet">{t('watched.about')}</p>
      {error && <ErrorNotice error={error} />}
      <div className="row row-start">
        <button
          type="button"
          className="button button-danger"
          disabled={busy}
          onClick={() => {
            setAsks(true);
          }}
        >
          {t('watched.forgetAll')}
        </button>
      </div>
      {asks && (
        <Confirm
          title={t('watched.confirm')}
          action={t('watched.forget')}
          onConfirm={() => {
            void run(async () => {
              await api.forgetWatched();
              onForget();
            });
          }}
          onClose={() => {
            setAsks(false);
          }}
        >
          <p>{t('watched.confirmText')}</p>
        </Confirm>
      )}
    </section>
  );
}
