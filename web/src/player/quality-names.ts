// What the qualities are called, and why one is not there. Apart from quality.ts, which the first script needs.

import { t } from '../i18n/t';
import { SOURCE, VP8 } from './quality';

/** "Source (720p)", "360p"; `heightPx` is that of the source, 0 where it is not known. */
export function qualityName(quality: string, heightPx: number): string {
  if (quality === VP8) return 'VP8';
  if (quality !== SOURCE) return quality;
  return heightPx > 0 ? t('player.sourceHeight', { height: String(heightPx) }) : t('player.source');
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Why the viewer does not get the chosen quality. */
export function refusalOf(quality: string, message: string): string {
  const name = quality === SOURCE ? t('player.sourceQuality') : quality;
  return t('player.unavailable', { name, reason: sentence(message) });
}
