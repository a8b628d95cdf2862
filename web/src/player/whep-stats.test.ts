import { describe, expect, test } from 'vitest';

import { detailsOf, progressOf, readStats } from './whep-stats';

const report = (frames: number, more: object = {}) =>
  new Map<string, { type: string }>([
    [
      'v',
      {
        type: 'inbound-rtp',
        kind: 'video',
        codecId: 'c',
        framesDecoded: frames,
        packetsReceived: frames * 10,
        bytesReceived: frames * 10_000,
        frameWidth: 1280,
        frameHeight: 720,
        framesDropped: 2,
        jitterBufferDelay: frames * 0.04,
        jitterBufferEmittedCount: frames,
        totalDecodeTime: frames * 0.005,
        ...more,
      } as { type: string },
    ],
    ['a', { type: 'inbound-rtp', kind: 'audio', packetsReceived: 50, bytesReceived: 5000 } as { type: string }],
    ['c', { type: 'codec', mimeType: 'video/H264' } as { type: string }],
    ['p', { type: 'candidate-pair', nominated: true, currentRoundTripTime: 0.01 } as { type: string }],
    ['q', { type: 'candidate-pair', nominated: false, currentRoundTripTime: 9 } as { type: string }],
  ]);

describe('WebRTC numbers', () => {
  test('two readings give rates and an estimate of the latency', () => {
    const before = readStats(report(100), 1000);
    const now = readStats(report(125), 2000);
    const details = detailsOf(now, before);
    expect(details).toMatchObject({ width: 1280, height: 720, dropped: 2, codec: 'H264', framesPerS: 25 });
    expect(details.mbps).toBeCloseTo(2.0, 3);
    // 40 ms in the jitter buffer, 5 ms to decode, half of 10 ms on the way.
    expect(details.latencyS).toBeCloseTo(0.05, 5);
    expect(details.latencyNote).toContain('estimate');
  });

  test('one reading, or no new frame, gives none', () => {
    const reading = readStats(report(100), 1000);
    expect(detailsOf(reading, null)).toMatchObject({ latencyS: null, mbps: null, width: 1280 });
    expect(detailsOf({ ...reading, atMs: 2000 }, reading)).toMatchObject({ latencyS: null, mbps: 0 });
  });

  test('an empty report is nothing known', () => {
    const reading = readStats(new Map(), 0);
    expect(detailsOf(reading, null)).toMatchObject({ width: null, dropped: null, codec: null });
    expect(progressOf(reading, false)).toBe(0);
  });

  test('progress is frames where they are shown, packets where not or without video', () => {
    const reading = readStats(report(100), 0);
    expect(progressOf(reading, false)).toBe(100);
    expect(progressOf(reading, true)).toBe(1050);
    expect(progressOf({ ...reading, hasVideo: false }, false)).toBe(1050);
  });
});
