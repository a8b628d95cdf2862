// What there is to watch: live now, coming up and ended, and who provides it; all of it, or what a search finds. The
// portal's feed keeps the page current.

import { useEffect, useId, useRef, useState } from 'react';
import { SaidAnywhere } from '../captions/said';
import { rich, t } from '../i18n/t';
import { formatDistance } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { describeFound, type Listing, readProviders, type Shelf, STEP } from '../kit/shelf';
import type { ListedProvider, LiveEvent } from '../kit/types';
import { Growing, Shelves } from '../ui/event-lists';
import { useLive, useNow, useOnline } from '../ui/hooks';
import { Link, navigate, useSearch, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, Loading } from '../ui/parts';
import { useGrowing, useLast, useShelf } from '../ui/shelf';

const PROVIDERS_POLL_MS = 60_000;
const PROVIDERS_FIRST = 12;
/** Of a search: as many characters as the portal reads. */
const MOST_LETTERS = 200;
const TYPING_MS = 250;

/** The search box; the address has what is searched for, soon after somebody typed it. */
function SearchBox({ query }: { query: string }) {
  const id = useId();
  const [text, setText] = useState(query);
  const sent = useRef(query);

  // Another address, by a link or the browser's history, has other words.
  useEffect(() => {
    if (query !== sent.current) {
      sent.current = query;
      setText(query);
    }
  }, [query]);

  const send = (words: string): void => {
    if (words === sent.current) return;
    sent.current = words;
    navigate(to.search(words), true);
  };
  useEffect(() => {
    const timer = setTimeout(() => {
      send(text.trim());
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
    };
  });

  return (
    <search className="search">
      <form
        onSubmit={(submitted) => {
          submitted.preventDefault();
          send(text.trim());
        }}
      >
        <label htmlFor={id} className="visually-hidden">
          {t('discover.search')}
        </label>
        <input
          id={id}
          type="search"
          placeholder={t('discover.search')}
          autoComplete="off"
          spellCheck={false}
          maxLength={MOST_LETTERS}
          value={text}
          onChange={(change) => {
            setText(change.target.value);
          }}
        />
      </form>
    </search>
  );
}

function NothingLive({ next, nowMs }: { next: LiveEvent | undefined; nowMs: number }) {
  return (
    <Empty title={t('discover.nothingLive')}>
      {next ? (
        <p>
          {rich('discover.next', {
            event: <Link to={to.watch(next.id)}>{next.title}</Link>,
            distance: formatDistance(next.starts_at, nowMs),
          })}
        </p>
      ) : (
        <p>{t('common.eventsAppear')}</p>
      )}
    </Empty>
  );
}

function describe({ live, soon }: ListedProvider): string {
  if (live + soon === 0) return t('discover.nothingScheduled');
  return [live > 0 ? t('discover.live', { count: live }) : '', soon > 0 ? t('discover.comingUp', { count: soon }) : '']
    .filter((one) => one !== '')
    .join(', ');
}

function Providers({ listing, onMore }: { listing: Listing<ListedProvider>; onMore: () => void }) {
  return (
    <Growing title={t('discover.providers')} listing={listing} onMore={onMore}>
      <ul className="providers">
        {listing.items.map((one) => (
          <li key={one.id}>
            <Link to={to.provider(one.id)} className="provider-link">
              <strong>{one.name}</strong>
              <span className="quiet">{describe(one)}</span>
            </Link>
          </li>
        ))}
      </ul>
    </Growing>
  );
}

function useProviders(query: string) {
  const [count, setCount] = useState(PROVIDERS_FIRST);
  const read = (): Promise<Listing<ListedProvider>> => readProviders(api, query, count);
  const live = useLive(`providers ${query}`, read, ['provider', 'event'], PROVIDERS_POLL_MS);
  const { data, error, refresh } = useGrowing(live, String(count));
  return {
    providers: useLast(data),
    error,
    refresh,
    more: () => {
      setCount((now) => now + STEP);
    },
  };
}

const isEmpty = (shelf: Shelf): boolean =>
  shelf.live.items.length + shelf.soon.items.length + shelf.past.items.length === 0;

interface FoundProps {
  shelf: Shelf;
  providers: Listing<ListedProvider> | null;
  isStale: boolean;
  nowMs: number;
}

/** What comes before the lists: how much a search found, or that nothing is live. */
function Found({ shelf, providers, isStale, nowMs }: FoundProps) {
  if (shelf.query === '') {
    return shelf.live.items.length === 0 && <NothingLive next={shelf.soon.items[0]} nowMs={nowMs} />;
  }
  const hasNothing = isEmpty(shelf) && providers?.items.length === 0;
  return (
    <>
      <p className={hasNothing && !isStale ? 'visually-hidden' : 'quiet'} role="status">
        {isStale || !providers ? t('discover.searching') : describeFound(shelf, providers)}
      </p>
      {hasNothing && !isStale && (
        <Empty title={t('discover.nothingFound', { query: shelf.query })}>
          <p>{t('discover.nothingFoundAdvice')}</p>
        </Empty>
      )}
    </>
  );
}

export function Discover() {
  useTitle('');
  const nowMs = useNow();
  const isOnline = useOnline();
  const query = (useSearch().get('q') ?? '').trim().slice(0, MOST_LETTERS);
  const { shelf, isStale, error, refresh, more } = useShelf(query, null);
  const found = useProviders(query);
  const fault = error ?? found.error;
  return (
    <div className="page" aria-busy={isStale}>
      <div className="page-head">
        <h1>{t('nav.discover')}</h1>
        <SearchBox query={query} />
      </div>
      {fault && isOnline && (
        <ErrorNotice
          error={fault}
          onRetry={() => {
            refresh();
            found.refresh();
          }}
        />
      )}
      {shelf && <Found shelf={shelf} providers={found.providers} isStale={isStale} nowMs={nowMs} />}
      {shelf && <Shelves shelf={shelf} nowMs={nowMs} onMore={more} />}
      <SaidAnywhere query={query} />
      {shelf && found.providers && <Providers listing={found.providers} onMore={found.more} />}
      {!shelf && !fault && <Loading what={t('discover.loading')} />}
    </div>
  );
}
