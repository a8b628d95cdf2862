// Captions of a live event: read from the portal while they are on. They are off until the viewer wants them.

import { useEffect, useState } from 'react';

import { api } from '../kit/portal';
import { stored } from '../kit/storage';
import type { Player } from '../player/runner';
import { type Cue, linesAt, pending, placed } from './queue';

const KEY = 'umbel.captions';
const READ_MS = 1500;
/** Whether an event has captions is looked up now and then. */
const LOOK_MS = 20_000;
const DRAW_MS = 200;
/** After any caption: asks for the language alone. */
const NONE_AFTER = 2 ** 31 - 1;

export interface Captions {
  /** The language that is recognised, null for none: there is nothing to switch on. */
  language: string | null;
  isOn: boolean;
  lines: readonly string[];
  toggle: () => void;
}

export function useCaptions(eventId: string, isLive: boolean, player: Player | null): Captions {
  const [isOn, setOn] = useState(() => stored.get(KEY) === 'on');
  const [language, setLanguage] = useState<string | null>(null);
  const [lines, setLines] = useState<readonly string[]>([]);
  const isRead = isOn && language !== null;

  useEffect(() => {
    if (!isLive || player === null) return undefined;
    let cues: Cue[] = [];
    let after: number | null = null;
    let closed = false;
    let timer: ReturnType<typeof setTimeout> | undefined;

    async function read(): Promise<void> {
      const answer = await api.captions(eventId, isRead ? after : NONE_AFTER);
      if (closed) return;
      setLanguage(answer.language);
      if (!isRead) return;
      const nowMs = Date.now();
      // The first answer is what was said before.
      if (after !== null) {
        const latencyMs = (player?.get().details.latencyS ?? 0) * 1000;
        cues = [...pending(cues, nowMs), ...answer.captions.map((said) => placed(said, nowMs, latencyMs))];
      }
      after = answer.captions.at(-1)?.number ?? after ?? 0;
    }
    const again = (): void => {
      read()
        .catch(() => undefined)
        .finally(() => {
          if (!closed) timer = setTimeout(again, isRead ? READ_MS : LOOK_MS);
        });
    };
    again();
    const drawing = setInterval(() => {
      const now = linesAt(cues, Date.now());
      setLines((before) => (before.join('\n') === now.join('\n') ? before : now));
    }, DRAW_MS);
    return () => {
      closed = true;
      clearTimeout(timer);
      clearInterval(drawing);
      setLines([]);
    };
  }, [eventId, isLive, isRead, player]);

  return {
    language,
    isOn,
    lines,
    toggle: () => {
      stored.set(KEY, isOn ? 'off' : 'on');
      setOn(!isOn);
    },
  };
}
