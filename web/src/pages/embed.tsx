// The player alone, for other sites' frames: the picture, its controls, and a link to the event's page. Nothing here
// changes anything, because the site around the frame could lead people to click it.

import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { t, useLanguage } from '../i18n/t';
import type { ApiError } from '../kit/api';
import { errorText } from '../kit/error-text';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { ChangeKind, LiveEvent } from '../kit/types';
import { early } from '../player/early';
import { StatusLine } from '../player/panel';
import { Stage } from '../player/stage';
import { usePlayer } from '../player/use-player';
import { useLive } from '../ui/hooks';
import { useTitle } from '../ui/navigation';
import { Loading } from '../ui/parts';

const KINDS: readonly ChangeKind[] = ['event', 'session'];
const POLL_MS = 10_000;

function reasonOf(error: ApiError): string {
  if (error.status === 404) return t('embed.notThere');
  if (error.code === 'umbel.pass_phrase_needed') return t('embed.passPhrase');
  return `${errorText(error)} ${t('advice.automatic')}`;
}

/** Leads out of the frame, into a window of its own. */
function PageLink({ eventId, children }: { eventId: string; children: string }) {
  return (
    <a href={to.watch(eventId)} target="_blank" rel="noopener">
      {children}
      <span className="visually-hidden"> {t('embed.newWindow')}</span>
    </a>
  );
}

function Embed({ eventId }: { eventId: string }) {
  useLanguage();
  const read = (): Promise<LiveEvent> => early.takeEvent(eventId) ?? api.event(eventId);
  const first = early.knownEvent(eventId);
  const { data: event, error } = useLive(`event ${eventId}`, read, KINDS, POLL_MS, first);
  const [video, setVideo] = useState<HTMLVideoElement | null>(null);
  const isClosed = error?.status === 404 || error?.code === 'umbel.pass_phrase_needed';
  const isHere = event !== null && !isClosed;
  const player = usePlayer(isHere ? event : null, video);
  useTitle(event?.title ?? t('event.event'));

  if (!isHere) {
    return (
      <main className="embed embed-note">
        {error ? (
          <div role="alert">
            <h1>{reasonOf(error)}</h1>
            <p>
              <PageLink eventId={eventId}>{t('embed.open')}</PageLink>
            </p>
          </div>
        ) : (
          <Loading what={t('event.loading')} />
        )}
      </main>
    );
  }
  return (
    <main className="embed">
      <Stage event={event} player={player} video={video} onVideo={setVideo} />
      <h1 className="embed-title">
        <PageLink eventId={eventId}>{event.title}</PageLink>
      </h1>
      {player && (
        <div className="visually-hidden">
          <StatusLine player={player} heightPx={event.stream?.height ?? 0} />
        </div>
      )}
    </main>
  );
}

export function mountEmbed(root: HTMLElement, eventId: string): void {
  createRoot(root).render(
    <StrictMode>
      <Embed eventId={eventId} />
    </StrictMode>,
  );
}
