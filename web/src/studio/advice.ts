// What a provider can improve in the encoder's settings. Pure: the stream's state in, sentences out.

import { t } from '../i18n/t';
import { formatPercent } from '../kit/format';
import type { StreamStatus } from '../kit/types';

/** A longer interval between key pictures is worth a warning. */
const LONGEST_S = 4;
/** By these an encoder cannot be asked for a key picture; a browser or OBS over WHIP can. */
const WITHOUT_REQUESTS = ['rtmp', 'srt', 'rtp', 'mpegts'];

/** Parts that may be missing without a warning: of packets, and of pictures. */
const MOST_LOST = 0.01;
const MOST_LEFT_OUT = 0.02;

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

/** The warnings for a stream, the most important first. A converted video has key pictures of Umbel's own. */
export function adviceOf(stream: Facts): string[] {
  const advice: string[] = [];
  if (isConverted(stream)) {
    advice.push(t('stream.convertsVideo', { transcoding: stream.transcoding }));
  }
  const isLong = stream.key_interval_s > LONGEST_S && WITHOUT_REQUESTS.includes(stream.protocol);
  if (stream.flowing && isLong && !isConverted(stream)) {
    advice.push(t('stream.keysRare', { seconds: Math.round(stream.key_interval_s) }));
  }
  if (stream.flowing && stream.packet_loss > MOST_LOST) {
    advice.push(t('stream.packetsLost', { share: formatPercent(stream.packet_loss) }));
  }
  if (stream.flowing && stream.frame_loss > MOST_LEFT_OUT) {
    advice.push(t('stream.framesLeftOut', { share: formatPercent(stream.frame_loss) }));
  }
  if (stream.flowing && stream.video === '' && stream.audio !== '') {
    advice.push(t('stream.noPicture'));
  }
  if (stream.flowing && stream.audio === '' && stream.video !== '') {
    advice.push(t('stream.noSound'));
  }
  const [lines, least] = LEAST_MBPS.find(([height]) => stream.height >= height) ?? [0, 0];
  if (stream.flowing && stream.mbps > 0 && stream.mbps < least) {
    advice.push(t('stream.bitrateLow', { lines: String(lines) }));
  }
  return advice;
}
