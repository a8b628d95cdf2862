// What the player of recordings does when something goes wrong: errors of hls.js in, calls to it out.

import type Hls from 'hls.js';

const LOST_PIECE = new Set<string>(['fragLoadError', 'fragLoadTimeOut']);

const FORBIDDEN = 403;

interface Failure {
  type: string;
  details: string;
  fatal: boolean;
  response?: { code?: number };
}

interface Playback {
  player: Pick<Hls, 'config' | 'loadSource' | 'recoverMediaError'>;
  element: Pick<HTMLVideoElement, 'currentTime'>;
  url: string;
  startS: number;
  /** It ends: the viewer may play it no more, or it cannot be read. */
  onEnd: (forbidden: boolean) => void;
}

/** What to do about errors of hls.js. An edge that does not answer is left: the front end has every
 *  piece, and the player goes on where it is. */
export function recovery({ player, element, url, startS, onEnd }: Playback) {
  let direct = false;
  let recovered = false;
  return (error: Failure): void => {
    if (!direct && LOST_PIECE.has(error.details)) {
      direct = true;
      player.config.startPosition = element.currentTime || startS;
      player.loadSource(`${url}?direct=true`);
    } else if (error.fatal && error.type === 'mediaError' && !recovered) {
      recovered = true;
      player.recoverMediaError();
    } else if (error.fatal) {
      onEnd(error.response?.code === FORBIDDEN);
    }
  };
}
