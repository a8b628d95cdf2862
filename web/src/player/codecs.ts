// Which codecs the browser decodes over WebRTC, and what follows for a viewer.

import type { Preferences } from './preferences';
import { SOURCE } from './quality';

export interface Codecs {
  h264: boolean;
  vp8: boolean;
}

/** A browser that does not list its codecs is asked by an offer. */
export function webrtcCodecs(): Codecs {
  if (!('RTCPeerConnection' in window)) return { h264: false, vp8: false };
  const codecs = window.RTCRtpReceiver?.getCapabilities?.('video')?.codecs;
  const has = (type: string): boolean =>
    codecs === undefined || codecs.some((codec) => codec.mimeType.toLowerCase() === type);
  return { h264: has('video/h264'), vp8: has('video/vp8') };
}

/** The event decides: a browser without H.264 takes VP8 where the event has it, and HLS elsewhere. */
export function dependsOnEvent({ choice, quality }: Preferences, codecs: Codecs): boolean {
  return quality === SOURCE && choice !== 'hls' && !codecs.h264 && codecs.vp8;
}
