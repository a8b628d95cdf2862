// Which captions are shown when. Pure: times are milliseconds.

/** A caption as the portal gives it. */
export interface Said {
  text: string;
  starts_at: string;
  ends_at: string;
}

/** A text, and from when until when it is shown by this browser's clock. */
export interface Cue {
  text: string;
  fromMs: number;
  untilMs: number;
}

const SHORTEST_MS = 2000;
const LONGEST_MS = 7000;
/** A picture that is so late has another clock than this browser. */
const LATEST_MS = 30_000;
const MOST_LINES = 2;

/** When to show it: with its picture, which is `latencyMs` late, or now, where the picture was shown before. */
export function placed(said: Said, nowMs: number, latencyMs: number): Cue {
  const startMs = Date.parse(said.starts_at);
  const aheadMs = startMs + latencyMs - nowMs;
  const fromMs = nowMs + (aheadMs > 0 && aheadMs <= LATEST_MS ? aheadMs : 0);
  const lengthMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, Date.parse(said.ends_at) - startMs));
  return { text: said.text, fromMs, untilMs: fromMs + lengthMs };
}

/** The lines to show now, the newest last. */
export function linesAt(cues: readonly Cue[], nowMs: number): string[] {
  return cues
    .filter((cue) => cue.fromMs <= nowMs && nowMs < cue.untilMs)
    .slice(-MOST_LINES)
    .map((cue) => cue.text);
}

/** Those that are, or will be, shown. */
export function pending(cues: readonly Cue[], nowMs: number): Cue[] {
  return cues.filter((cue) => nowMs < cue.untilMs);
}
