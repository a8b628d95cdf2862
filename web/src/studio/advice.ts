// What a provider can improve in the encoder's settings. Pure: the stream's state in, sentences out.

import type { StreamStatus } from '../kit/types';

/** A longer interval between key pictures is worth a warning. */
const LONGEST_S = 4;
/** By these an encoder cannot be asked for a key picture; a browser or OBS over WHIP can. */
const WITHOUT_REQUESTS = ['rtmp', 'srt', 'rtp', 'mpegts'];

/** Below this rate a picture of so many lines blurs where much moves. */
const LEAST_MBPS: readonly [height: number, mbps: number][] = [
  [1080, 1],
  [720, 0.5],
];

type Facts = Pick<
  StreamStatus,
  'flowing' | 'protocol' | 'transcoding' | 'key_interval_s' | 'video' | 'audio' | 'height' | 'mbps'
>;

const isConverted = (stream: Facts): boolean => stream.transcoding.includes('video:');

/** The warnings for a stream, the most important first. A converted video has key pictures of Umbel's own. */
export function adviceOf(stream: Facts): string[] {
  const advice: string[] = [];
  if (isConverted(stream)) {
    advice.push(
      `Umbel converts your video (${stream.transcoding}), which costs quality and time. Send H.264 without B-frames. ` +
        'In OBS: Output > Advanced > Keyframe Interval 2 s, and B-frames 0 or Tune “zerolatency”.',
    );
  }
  const isLong = stream.key_interval_s > LONGEST_S && WITHOUT_REQUESTS.includes(stream.protocol);
  if (stream.flowing && isLong && !isConverted(stream)) {
    advice.push(
      `Key pictures come every ${String(Math.round(stream.key_interval_s))} s: viewers start slowly. ` +
        'In OBS: Output > Advanced > Keyframe Interval 2 s.',
    );
  }
  if (stream.flowing && stream.video === '' && stream.audio !== '') {
    advice.push('No picture arrives: viewers hear sound only. Check the camera or the scene in your encoder.');
  }
  if (stream.flowing && stream.audio === '' && stream.video !== '') {
    advice.push('No sound arrives. Check the microphone and the audio settings of your encoder.');
  }
  const [lines, least] = LEAST_MBPS.find(([height]) => stream.height >= height) ?? [0, 0];
  if (stream.flowing && stream.mbps > 0 && stream.mbps < least) {
    advice.push(
      `The bitrate is low for a picture of ${String(lines)} lines and more: it blurs where much moves. ` +
        'Raise the bitrate in your encoder, or send a smaller picture.',
    );
  }
  return advice;
}
