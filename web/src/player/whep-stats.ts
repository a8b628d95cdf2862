// WebRTC statistics in, the player's numbers out. Pure: two readings make one sample.

import { t } from '../i18n/t';
import { type Details, NOTHING_KNOWN } from './transport';

export interface Reading {
  atMs: number;
  framesDecoded: number;
  /** Packets of all media. */
  packets: number;
  bytes: number;
  dropped: number;
  width: number | null;
  height: number | null;
  codec: string | null;
  jitterDelayS: number;
  jitterEmitted: number;
  decodeS: number;
  roundTripS: number | null;
  hasVideo: boolean;
}

/** The fields that are used here. */
interface Entry {
  type: string;
  kind?: string;
  codecId?: string;
  mimeType?: string;
  nominated?: boolean;
  framesDecoded?: number;
  framesDropped?: number;
  packetsReceived?: number;
  bytesReceived?: number;
  frameWidth?: number;
  frameHeight?: number;
  jitterBufferDelay?: number;
  jitterBufferEmittedCount?: number;
  totalDecodeTime?: number;
  currentRoundTripTime?: number;
}

function addVideo(reading: Reading, entry: Entry, codec: Entry | undefined): void {
  reading.hasVideo = true;
  reading.framesDecoded += entry.framesDecoded ?? 0;
  reading.dropped += entry.framesDropped ?? 0;
  reading.width = entry.frameWidth ?? null;
  reading.height = entry.frameHeight ?? null;
  reading.jitterDelayS = entry.jitterBufferDelay ?? 0;
  reading.jitterEmitted = entry.jitterBufferEmittedCount ?? 0;
  reading.decodeS = entry.totalDecodeTime ?? 0;
  reading.codec = codec?.mimeType?.replace('video/', '') ?? null;
}

export function readStats(report: ReadonlyMap<string, Entry>, atMs: number): Reading {
  const reading: Reading = {
    atMs,
    framesDecoded: 0,
    packets: 0,
    bytes: 0,
    dropped: 0,
    width: null,
    height: null,
    codec: null,
    jitterDelayS: 0,
    jitterEmitted: 0,
    decodeS: 0,
    roundTripS: null,
    hasVideo: false,
  };
  for (const entry of report.values()) {
    if (entry.type === 'candidate-pair' && entry.nominated) {
      reading.roundTripS = entry.currentRoundTripTime ?? null;
    }
    if (entry.type !== 'inbound-rtp') continue;
    reading.packets += entry.packetsReceived ?? 0;
    reading.bytes += entry.bytesReceived ?? 0;
    if (entry.kind === 'video') addVideo(reading, entry, report.get(entry.codecId ?? ''));
  }
  return reading;
}

/** What must change for the stream to count as moving: frames where they are shown, packets where not. */
export function progressOf(reading: Reading, hidden: boolean): number {
  return reading.hasVideo && reading.packets > 0 && !hidden ? reading.framesDecoded : reading.packets;
}

/** Buffering and decoding as measured over the last period, plus half a round trip. */
function latencyS(now: Reading, before: Reading): number | null {
  const emitted = now.jitterEmitted - before.jitterEmitted;
  const frames = now.framesDecoded - before.framesDecoded;
  if (emitted <= 0 || frames <= 0) return null;
  const buffer = (now.jitterDelayS - before.jitterDelayS) / emitted;
  const decode = (now.decodeS - before.decodeS) / frames;
  return buffer + decode + (now.roundTripS ?? 0) / 2;
}

export function detailsOf(now: Reading, before: Reading | null): Details {
  const seconds = before ? (now.atMs - before.atMs) / 1000 : 0;
  const known: Details = {
    ...NOTHING_KNOWN,
    latencyNote: t('player.latencyEstimate'),
    width: now.width,
    height: now.height,
    dropped: now.hasVideo ? now.dropped : null,
    codec: now.codec,
  };
  if (!before || seconds <= 0) return known;
  return {
    ...known,
    latencyS: latencyS(now, before),
    mbps: ((now.bytes - before.bytes) * 8) / seconds / 1e6,
    framesPerS: (now.framesDecoded - before.framesDecoded) / seconds,
  };
}
