// The first script: small, so that what a viewer waits for is requested before the app is loaded.

import { initLanguage } from './i18n/language';
import { account } from './kit/account';
import { matchRoute } from './kit/routes';
import { dependsOnEvent, webrtcCodecs } from './player/codecs';
import { early } from './player/early';
import { preferencesOf } from './player/preferences';
import './styles/base.css';
import './styles/parts.css';
import './styles/forms.css';
import './styles/discover.css';
import './styles/player.css';
import './styles/calendar.css';
import './styles/recordings.css';
import './styles/studio.css';
import './styles/network.css';
import './styles/network-tables.css';

account.load();
const language = initLanguage();
const route = matchRoute(location.pathname);
const root = document.getElementById('root');

/** Requests what the player of the event will need. */
function begin(eventId: string): void {
  const preferences = preferencesOf(eventId, location.search);
  early.begin(eventId, preferences, !dependsOnEvent(preferences, webrtcCodecs()));
  const usesHls = preferences.choice === 'hls' || !('RTCPeerConnection' in window);
  if (usesHls) import('hls.js').catch(() => undefined);
}

if (route.page === 'embed') {
  begin(route.eventId);
  const { eventId } = route;
  if (root) {
    void Promise.all([import('./pages/embed'), language]).then(([{ mountEmbed }]) => {
      mountEmbed(root, eventId);
    });
  }
} else {
  const app = import('./mount');
  // React shows the fallback of a lazy page for 300 ms, even when its script is there. So the first page is mounted
  // with its script; where that fails, the app tries again and shows the error.
  let watch: Promise<typeof import('./pages/watch') | null> = Promise.resolve(null);
  if (route.page === 'watch') {
    begin(route.eventId);
    watch = import('./pages/watch').catch(() => null);
  }
  if (root) {
    void Promise.all([app, watch, language]).then(([{ mount }, page]) => {
      mount(root, page?.default ?? null);
    });
  }
}
