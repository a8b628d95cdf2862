import { describe, expect, test } from 'vitest';

import { adviceOf } from './advice';

const stream = (part: Partial<Parameters<typeof adviceOf>[0]>) =>
  adviceOf({
    flowing: true,
    protocol: 'rtmp',
    transcoding: 'audio: AAC to Opus',
    key_interval_s: 2,
    video: 'H264',
    audio: 'OPUS',
    height: 720,
    mbps: 2.5,
    packet_loss: 0,
    frame_loss: 0,
    ...part,
  }).map(({ text }) => text);

describe('what to improve in the encoder', () => {
  test('a good stream needs no advice', () => {
    expect(stream({})).toEqual([]);
  });

  test('OBS in simple mode: a keyframe every 250 frames', () => {
    expect(stream({ key_interval_s: 8.333 })).toEqual([
      'Keyframes come every 8 s: viewers start slowly. In OBS: Output > Advanced > Keyframe Interval 2 s.',
    ]);
  });

  test.each([
    ['the interval is not known yet', { key_interval_s: 0 }],
    ['4 s are still fine', { key_interval_s: 4 }],
    ['nothing flows', { key_interval_s: 8, flowing: false }],
    ['over WHIP the encoder is asked for keyframes', { key_interval_s: 8, protocol: 'whip' }],
  ])('no warning where %s', (_why, part) => {
    expect(stream(part)).toEqual([]);
  });

  test.each([
    ['no sound', { audio: '' }, 'No sound arrives'],
    ['no picture', { video: '', height: 0 }, 'No picture arrives'],
    ['lost packets', { packet_loss: 0.034 }, 'Packets are lost on the way from the encoder (3.4 %). Lower the bitrate'],
    ['frames that are dropped', { frame_loss: 0.2 }, 'The encoder drops frames (20 %).'],
    ['too few bits', { mbps: 0.4 }, 'bitrate is low for a picture of 720 lines'],
    ['too few bits for more lines', { height: 1440, mbps: 0.9 }, 'of 1080 lines'],
  ])('%s is said', (_what, part, words) => {
    const advice = stream(part);
    expect(advice).toHaveLength(1);
    expect(advice[0]).toContain(words);
    expect(stream({ ...part, flowing: false })).toEqual([]);
  });

  test.each([
    ['a small picture needs few bits', { height: 360, mbps: 0.3 }],
    ['the rate is not measured yet', { mbps: 0 }],
    ['a packet is lost now and then', { packet_loss: 0.005, frame_loss: 0.01 }],
    ['the codecs are not known yet', { video: '', audio: '', height: 0, mbps: 0 }],
  ])('no warning where %s', (_why, part) => {
    expect(stream(part)).toEqual([]);
  });

  test('a converted video has new keyframes, so that only the conversion is named', () => {
    const advice = stream({ key_interval_s: 8, transcoding: 'video: B-frames, audio: AAC to Opus' });
    expect(advice).toHaveLength(1);
    expect(advice[0]).toContain('without B-frames');
  });
});
