import { describe, expect, it } from 'vitest';

import { linesAt, pending, placed } from './queue';

const NOW = Date.parse('2027-02-01T20:00:10Z');

function said(text: string, second: number, lengthS = 3) {
  const at = (s: number): string => new Date(Date.parse('2027-02-01T20:00:00Z') + s * 1000).toISOString();
  return { text, starts_at: at(second), ends_at: at(second + lengthS) };
}

describe('captions', () => {
  it('wait for their picture', () => {
    const cue = placed(said('a', 8), NOW, 6000);
    expect(cue).toEqual({ text: 'a', fromMs: NOW + 4000, untilMs: NOW + 7000 });
  });

  it('are shown at once where the picture was shown before', () => {
    expect(placed(said('a', 5), NOW, 200)).toEqual({ text: 'a', fromMs: NOW, untilMs: NOW + 3000 });
  });

  it('are shown at once where the clocks differ', () => {
    expect(placed(said('a', 500), NOW, 200).fromMs).toBe(NOW);
  });

  it('are shown long enough to be read, and not for ever', () => {
    expect(placed(said('a', 5, 0.1), NOW, 0).untilMs).toBe(NOW + 2000);
    expect(placed(said('a', 5, 60), NOW, 0).untilMs).toBe(NOW + 7000);
  });

  it('are two lines at most, the newest last, and go', () => {
    const cues = ['a', 'b', 'c'].map((text) => placed(said(text, 5), NOW, 0));
    expect(linesAt(cues, NOW)).toEqual(['b', 'c']);
    expect(linesAt(cues, NOW + 3000)).toEqual([]);
    expect(pending(cues, NOW + 2999)).toHaveLength(3);
    expect(pending(cues, NOW + 3000)).toHaveLength(0);
  });
});
