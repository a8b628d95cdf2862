// Captions over the picture. They are not read out: who hears them hears the sound, too.

import type { Captions } from './use-captions';

export function CaptionLines({ captions }: { captions: Captions }) {
  if (!captions.isOn || captions.language === null || captions.lines.length === 0) return null;
  return (
    <p className="captions" lang={captions.language} data-testid="captions">
      {captions.lines.map((line) => (
        <span key={line} className="caption-line">
          {line}
        </span>
      ))}
    </p>
  );
}
