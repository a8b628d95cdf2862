import { describe, expect, test } from 'vitest';

import { adviceOf } from './advice';

const stream = (part: Partial<Parameters<typeof adviceOf>[0]>) =>
  adviceOf({ flowing: true, protocol: 'rtmp', transcoding: 'audio: AAC to Opus', key_interval_s: 2, ...part });

describe('what to improve in the encoder', () => {
  test('a good stream needs no advice', () => {
    expect(stream({})).toEqual([]);
  });

  test('OBS in simple mode: a key picture every 250 frames', () => {
    expect(stream({ key_interval_s: 8.333 })).toEqual([
      'Key pictures come every 8 s: viewers start slowly. In OBS: Output > Advanced > Keyframe Interval 2 s.',
    ]);
  });

  test.each([
    ['the interval is not known yet', { key_interval_s: 0 }],
    ['4 s are still fine', { key_interval_s: 4 }],
    ['nothing flows', { key_interval_s: 8, flowing: false }],
    ['over WHIP the encoder is asked for key pictures', { key_interval_s: 8, protocol: 'whip' }],
  ])('no warning where %s', (_why, part) => {
    expect(stream(part)).toEqual([]);
  });

  test('a converted video has new key pictures, so that only the conversion is named', () => {
    const advice = stream({ key_interval_s: 8, transcoding: 'video: B-frames, audio: AAC to Opus' });
    expect(advice).toHaveLength(1);
    expect(advice[0]).toContain('without B-frames');
  });
});
