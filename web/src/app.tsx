// The frame around every page: header, navigation, the sign-in, and the page for the address.

import { Component, type ComponentType, lazy, type ReactNode, Suspense, useEffect, useRef } from 'react';
import { t, useLanguage } from './i18n/t';
import { account } from './kit/account';
import { api } from './kit/portal';
import { forgetDevice } from './kit/push';
import { matchRoute, type Route, to } from './kit/routes';
import { Discover } from './pages/discover';
import { useAction, useSignIn } from './ui/hooks';
import { LanguageChoice } from './ui/language-choice';
import { Mark } from './ui/mark';
import { Link, usePathname, useTitle } from './ui/navigation';
import { Offline } from './ui/offline';
import { Empty, Loading } from './ui/parts';
import { Reminders } from './ui/reminders';

const LazyWatch = lazy(() => import('./pages/watch'));
const Studio = lazy(() => import('./studio/studio'));
const StudioEvent = lazy(() => import('./studio/event'));
const Network = lazy(() => import('./network/page'));
const ProviderPage = lazy(() => import('./pages/provider'));
const Calendar = lazy(() => import('./calendar/page'));
const Recordings = lazy(() => import('./recordings/page'));
const Shared = lazy(() => import('./recordings/shared'));
const Account = lazy(() => import('./pages/account'));
const SignUp = lazy(() => import('./pages/sign-up'));
const ForgotPassword = lazy(() => import('./pages/forgot-password'));
const ResetPassword = lazy(() => import('./pages/reset-password'));
const VerifyEmail = lazy(() => import('./pages/verify-email'));

function Missing() {
  useTitle(t('app.notFound'));
  return (
    <Empty isPage title={t('app.pageNotFound')}>
      <p>
        <Link to={to.discover}>{t('common.seeLive')}</Link>
      </p>
    </Empty>
  );
}

export type WatchPage = ComponentType<{ eventId: string }>;

function Page({ route, watch }: { route: Route; watch: WatchPage | null }) {
  const Watch = watch ?? LazyWatch;
  switch (route.page) {
    case 'discover':
      return <Discover />;
    case 'watch':
      return <Watch key={route.eventId} eventId={route.eventId} />;
    case 'provider':
      return <ProviderPage key={route.providerId} providerId={route.providerId} />;
    case 'studio':
      return <Studio />;
    case 'studio-event':
      return <StudioEvent key={route.eventId} eventId={route.eventId} />;
    case 'network':
      return <Network />;
    case 'calendar':
      return <Calendar />;
    case 'recordings':
      return <Recordings />;
    case 'shared':
      return <Shared key={route.secret} secret={route.secret} />;
    case 'account':
      return <Account />;
    case 'sign-up':
      return <SignUp />;
    case 'verify-email':
      return <VerifyEmail />;
    case 'forgot-password':
      return <ForgotPassword />;
    case 'reset-password':
      return <ResetPassword />;
    // An event's player alone has a root of its own, and no way here: main.ts.
    case 'embed':
    case 'missing':
      return <Missing />;
  }
}

/** Shows an error page when a page fails, or cannot be loaded after an update of the app. */
class Boundary extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError(): { broken: boolean } {
    return { broken: true };
  }

  override render(): ReactNode {
    if (!this.state.broken) return this.props.children;
    return (
      <Empty isPage title={t('app.broken')}>
        <p>{t('app.brokenAdvice')}</p>
        <button
          type="button"
          className="button button-primary"
          onClick={() => {
            location.reload();
          }}
        >
          {t('app.reload')}
        </button>
      </Empty>
    );
  }
}

function SignInState() {
  const signIn = useSignIn();
  const { busy, error, run } = useAction();
  if (!signIn) {
    return (
      <Link to={to.account} className="button button-small">
        {t('common.signIn')}
      </Link>
    );
  }
  return (
    <div className="signed-in">
      <Link to={to.account} className="signed-in-name" title={t('app.yourAccount')}>
        {signIn.username}
      </Link>
      <button
        type="button"
        className="button button-small"
        disabled={busy}
        onClick={() =>
          void run(async () => {
            await forgetDevice(api);
            await api.signOut();
            account.set(null);
          })
        }
      >
        {t('app.signOut')}
      </button>
      {error && (
        <span className="signed-in-error" role="alert">
          {t('app.stillSignedIn')}
        </span>
      )}
    </div>
  );
}

const NAVIGATION = [
  { label: 'nav.discover', to: to.discover, pages: ['discover', 'provider', 'watch'] },
  { label: 'nav.calendar', to: to.calendar(), pages: ['calendar'] },
  { label: 'nav.myShare', to: to.recordings, pages: ['recordings'] },
  { label: 'nav.studio', to: to.studio, pages: ['studio', 'studio-event'] },
  { label: 'nav.network', to: to.network(), pages: ['network'] },
] as const;

/** `watch`: the watch page where its script is already there. */
export function App({ watch }: { watch: WatchPage | null }) {
  useLanguage();
  const pathname = usePathname();
  const route = matchRoute(pathname);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);

  // A new page takes the focus; the first page keeps the position that the browser restored.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the effect runs when the address changes
  useEffect(() => {
    if (first.current) first.current = false;
    else main.current?.focus({ preventScroll: true });
  }, [pathname]);

  return (
    <>
      <a className="skip" href="#main">
        {t('app.skip')}
      </a>
      <header className="header">
        <div className="header-inner">
          <Link to={to.discover} className="brand" aria-label={t('app.home')}>
            <Mark />
            <span>Umbel</span>
          </Link>
          <nav aria-label={t('app.main')}>
            {NAVIGATION.map((item) => (
              <Link
                key={item.label}
                to={item.to}
                aria-current={(item.pages as readonly string[]).includes(route.page) ? 'page' : undefined}
              >
                {t(item.label)}
              </Link>
            ))}
          </nav>
          <SignInState />
        </div>
      </header>
      <Reminders />
      <main id="main" ref={main} tabIndex={-1}>
        <Offline />
        <Boundary key={pathname}>
          <Suspense fallback={<Loading what={t('common.loading')} />}>
            <Page route={route} watch={watch} />
          </Suspense>
        </Boundary>
      </main>
      <footer className="footer">
        <LanguageChoice />
      </footer>
    </>
  );
}
