// The service worker: shows pushes, and a page of its own where there is no network. It keeps nothing else, so that
// every page, script and answer comes from the server as it does without it.

const OFFLINE = '/offline.html';
const KEPT = 'umbel-offline-2';
/** The page keeps here which language it has, where that is not English. */
const LANGUAGE = 'umbel-language';

const TEXTS = {
  en: {
    live: 'Live now',
    begins: 'Begins {when}',
    renewed: 'Renewed by the browser',
    title: 'You are offline',
    text: 'Live events need a network. Nothing is lost: your reservations and reminders are kept on the server.',
    retry: 'Try again',
  },
  de: {
    live: 'Jetzt live',
    begins: 'Beginnt {when}',
    renewed: 'Vom Browser erneuert',
    title: 'Sie sind offline',
    text: 'Live-Veranstaltungen brauchen eine Verbindung. Nichts geht verloren: Ihre Vormerkungen und Erinnerungen liegen auf dem Server.',
    retry: 'Erneut versuchen',
  },
};

/** A text with values for its placeholders. */
const format = (message, values) => message.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

/** The language of the pages; English where none was kept. */
async function storedLanguage() {
  const kept = await caches.match('/language', { cacheName: LANGUAGE });
  const language = (await kept?.text()) ?? 'en';
  return Object.hasOwn(TEXTS, language) ? language : 'en';
}

async function offlinePage() {
  const page = await caches.match(OFFLINE, { cacheName: KEPT });
  if (!page) return Response.error();
  const lang = await storedLanguage();
  const headers = { 'Content-Type': 'text/html; charset=utf-8' };
  const policy = page.headers.get('Content-Security-Policy');
  if (policy !== null) headers['Content-Security-Policy'] = policy;
  return new Response(format(await page.text(), { lang, ...TEXTS[lang] }), { headers });
}

self.addEventListener('install', (event) => {
  const keep = async () => {
    const cache = await caches.open(KEPT);
    await cache.add(new Request(OFFLINE, { cache: 'reload' }));
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});

self.addEventListener('activate', (event) => {
  const begin = async () => {
    for (const name of await caches.keys()) if (name !== KEPT && name !== LANGUAGE) await caches.delete(name);
    // The first request of a page does not wait until this worker has started.
    await self.registration.navigationPreload?.enable();
    await self.clients.claim();
  };
  event.waitUntil(begin());
});

self.addEventListener('fetch', (event) => {
  if (event.request.mode !== 'navigate' || event.request.method !== 'GET') return;
  const answer = async () => {
    try {
      return (await event.preloadResponse) ?? (await fetch(event.request));
    } catch {
      return offlinePage();
    }
  };
  event.respondWith(answer());
});

/** What a push says; a browser must show something, also where it cannot be read. */
function parse(data) {
  try {
    const body = data.json();
    return body !== null && typeof body === 'object' ? body : {};
  } catch {
    return {};
  }
}

const text = (value, fallback) => (typeof value === 'string' && value !== '' ? value : fallback);

function bodyOf({ kind, provider, starts_at }, language) {
  const of = text(provider, '');
  const at = new Date(starts_at);
  const when = Number.isNaN(at.getTime())
    ? ''
    : new Intl.DateTimeFormat(language === 'en' ? undefined : language, { weekday: 'short', hour: '2-digit', minute: '2-digit' }).format(at);
  const texts = TEXTS[language];
  const said = kind === 'live' ? texts.live : when === '' ? '' : format(texts.begins, { when });
  return [said, of].filter((part) => part !== '').join(' · ');
}

self.addEventListener('push', (event) => {
  const body = parse(event.data);
  const show = async () => {
    // A browser must show something, also where nothing can be read.
    const language = await storedLanguage().catch(() => 'en');
    await self.registration.showNotification(text(body.title, 'Umbel'), {
      body: bodyOf(body, language),
      lang: language,
      // A message that is sent again is the same notification.
      tag: text(body.id, 'umbel'),
      icon: '/icons/icon-192.png',
      badge: '/icons/badge-96.png',
      data: { path: text(body.path, '/') },
    });
  };
  event.waitUntil(show());
});

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const url = new URL(text(event.notification.data?.path, '/'), self.location.origin);
  const open = async () => {
    if (url.origin !== self.location.origin) return;
    const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
    const same = windows.find((one) => new URL(one.url).pathname === url.pathname);
    if (same) await same.focus();
    else await self.clients.openWindow(url.href);
  };
  event.waitUntil(open());
});

self.addEventListener('pushsubscriptionchange', (event) => {
  const subscribeAgain = async () => {
    const options = event.oldSubscription?.options ?? event.newSubscription?.options;
    const made = event.newSubscription ?? (options ? await self.registration.pushManager.subscribe(options) : null);
    if (!made) return;
    const { endpoint, keys } = made.toJSON();
    await fetch('/api/v1/me/push/devices', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Protection': '1' },
      body: JSON.stringify({ endpoint, keys, label: TEXTS[await storedLanguage()].renewed }),
    });
  };
  event.waitUntil(subscribeAgain());
});
