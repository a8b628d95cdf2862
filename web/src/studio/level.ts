// How loud sound is, for a meter. Pure: samples in, a share of the scale out.

/** The quietest level on the scale, in dB below full scale. */
const FLOOR_DB = -60;
export const SILENT = 0.05;

/** From samples between -1 and 1 to 0 (silent) … 1 (full scale), by their root mean square in dB. */
export function levelOf(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  if (samples.length === 0 || sum === 0) return 0;
  const db = 10 * Math.log10(sum / samples.length);
  return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}
