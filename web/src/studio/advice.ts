// What a provider can improve in the encoder's settings. Pure: the stream's state in, sentences out.

import type { MessageKey } from '../i18n/catalogue';
import type { English } from '../i18n/en';
import type { Arguments } from '../i18n/message';
import { t, type Value } from '../i18n/t';
import { formatPercent } from '../kit/format';
import type { StreamStatus } from '../kit/types';

/** A longer interval between keyframes is worth a warning. */
const LONGEST_S = 4;
/** By these an encoder cannot be asked for a keyframe; a browser or OBS over WHIP can. */
const WITHOUT_REQUESTS = ['rtmp', 'srt', 'rtp', 'mpegts'];

/** Parts that may be missing without a warning: of packets, and of frames. */
const MOST_LOST = 0.01;
const MOST_DROPPED = 0.02;

/** Below this rate a picture of so many lines blurs where much moves. */
const LEAST_MBPS: readonly [height: number, mbps: number][] = [
  [1080, 1],
  [720, 0.5],
];

type Facts = Pick<
  StreamStatus,
  | 'flowing'
  | 'protocol'
  | 'transcoding'
  | 'key_interval_s'
  | 'video'
  | 'audio'
  | 'height'
  | 'mbps'
  | 'packet_loss'
  | 'frame_loss'
>;

const isConverted = (stream: Facts): boolean => stream.transcoding.includes('video:');

export interface Advice {
  key: MessageKey;
  text: string;
}

/** The warnings for a stream, the most important first. A converted video has keyframes of Umbel's own. */
export function adviceOf(stream: Facts): Advice[] {
  const advice: Advice[] = [];
  const add = <Key extends MessageKey>(key: Key, ...values: Arguments<English[Key], Value>): void => {
    advice.push({ key, text: t(key, ...values) });
  };
  if (isConverted(stream)) {
    add('stream.convertsVideo', { transcoding: stream.transcoding });
  }
  const isLong = stream.key_interval_s > LONGEST_S && WITHOUT_REQUESTS.includes(stream.protocol);
  if (stream.flowing && isLong && !isConverted(stream)) {
    add('stream.keyframesRare', { seconds: Math.round(stream.key_interval_s) });
  }
  if (stream.flowing && stream.packet_loss > MOST_LOST) {
    add('stream.packetsLost', { share: formatPercent(stream.packet_loss) });
  }
  if (stream.flowing && stream.frame_loss > MOST_DROPPED) {
    add('stream.framesDropped', { share: formatPercent(stream.frame_loss) });
  }
  if (stream.flowing && stream.video === '' && stream.audio !== '') {
    add('stream.noPicture');
  }
  if (stream.flowing && stream.audio === '' && stream.video !== '') {
    add('stream.noSound');
  }
  const [lines, least] = LEAST_MBPS.find(([height]) => stream.height >= height) ?? [0, 0];
  if (stream.flowing && stream.mbps > 0 && stream.mbps < least) {
    add('stream.bitrateLow', { lines: String(lines) });
  }
  return advice;
}
