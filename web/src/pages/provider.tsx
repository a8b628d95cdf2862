// A provider's page: what is live, coming up and ended, and the address for feed readers.

import { rich, t } from '../i18n/t';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { Shelves } from '../ui/event-lists';
import { Follow } from '../ui/follow';
import { useLive, useNow, useOnline } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, ErrorPage, Loading } from '../ui/parts';
import { useShelf } from '../ui/shelf';

const POLL_MS = 60_000;

export default function ProviderPage({ providerId }: { providerId: string }) {
  const nowMs = useNow();
  const isOnline = useOnline();
  const provider = useLive(`provider ${providerId}`, () => api.provider(providerId), ['provider'], POLL_MS);
  const { shelf, error, refresh, more } = useShelf('', providerId);
  const name = provider.data?.name;
  useTitle(name ?? t('common.provider'));

  if (provider.error?.status === 404) {
    return (
      <Empty isPage title={t('provider.notFound')}>
        <p>{rich('common.checkAddress', { link: <Link to={to.discover}>{t('common.seeLive')}</Link> })}</p>
      </Empty>
    );
  }
  if (name === undefined) {
    return provider.error ? (
      <div className="page">
        <ErrorPage title={t('provider.cannotShow')} error={provider.error} onRetry={provider.refresh} />
      </div>
    ) : (
      <Loading what={t('provider.loading')} />
    );
  }
  const isEmpty = shelf && shelf.live.items.length + shelf.soon.items.length + shelf.past.items.length === 0;
  return (
    <div className="page">
      <div className="page-head">
        <h1>{name}</h1>
        <div className="row row-start">
          <Follow providerId={providerId} name={name} />
          <a className="button button-small" href={to.feed(providerId)}>
            {t('provider.rss')}
          </a>
        </div>
      </div>
      {error && isOnline && <ErrorNotice error={error} onRetry={refresh} />}
      {!shelf && !error && <Loading what={t('discover.loading')} />}
      {isEmpty && (
        <Empty title={t('provider.nothing')}>
          <p>{t('provider.eventsAppear', { name })}</p>
        </Empty>
      )}
      {shelf && <Shelves shelf={shelf} nowMs={nowMs} onMore={more} />}
    </div>
  );
}
