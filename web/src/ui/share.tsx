// How to hand an event on: its address, the code of its player for other pages, and what the device offers.

import { t } from '../i18n/t';
import { embedCode } from '../kit/embed';
import { to } from '../kit/routes';
import type { LiveEvent } from '../kit/types';
import { CopyField } from './parts';

export function Share({ event }: { event: LiveEvent }) {
  const url = `${location.origin}${to.watch(event.id)}`;
  // Other sites' frames know neither pass phrases nor who is signed in.
  const isForFrames = event.visibility === 'public' || event.visibility === 'unlisted';
  return (
    <details className="facts share">
      <summary>{t('share.share')}</summary>
      <div className="stack">
        <CopyField label={t('share.link')} value={url} />
        {isForFrames && <CopyField label={t('share.code')} value={embedCode(event, location.origin)} />}
        <div className="row row-start">
          {'share' in navigator && (
            <button
              type="button"
              className="button"
              onClick={() => {
                // Who closes the device's dialog shares nothing.
                navigator.share({ title: event.title, url }).catch(() => undefined);
              }}
            >
              {t('share.other')}
            </button>
          )}
          {event.visibility === 'public' && (
            <a className="button" href={to.feed(event.provider_id)}>
              {t('share.rss', { provider: event.provider_name })}
            </a>
          )}
        </div>
      </div>
    </details>
  );
}
