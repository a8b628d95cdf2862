// The first script: small, so that what a viewer waits for is requested before the app is loaded.

import { account } from './kit/account';
import { matchRoute } from './kit/routes';
import { dependsOnEvent, webrtcCodecs } from './player/codecs';
import { early } from './player/early';
import { preferencesOf } from './player/preferences';
import './styles/base.css';
import './styles/parts.css';
import './styles/discover.css';
import './styles/player.css';
import './styles/calendar.css';
import './styles/recordings.css';
import './styles/studio.css';
import './styles/network.css';
import './styles/network-tables.css';

account.load();
const route = matchRoute(location.pathname);
const app = import('./mount');
// React shows the fallback of a lazy page for 300 ms, even when its script is there. So the first page is mounted
// with its script; where that fails, the app tries again and shows the error.
let watch: Promise<typeof import('./pages/watch') | null> = Promise.resolve(null);
if (route.page === 'watch') {
  const preferences = preferencesOf(route.eventId, location.search);
  early.begin(route.eventId, preferences, !dependsOnEvent(preferences, webrtcCodecs()));
  watch = import('./pages/watch').catch(() => null);
  const usesHls = preferences.choice === 'hls' || !('RTCPeerConnection' in window);
  if (usesHls) import('hls.js').catch(() => undefined);
}
const root = document.getElementById('root');
if (root) {
  void Promise.all([app, watch]).then(([{ mount }, page]) => {
    mount(root, page?.default ?? null);
  });
}
