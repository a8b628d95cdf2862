// Shows how loud the sound is that goes on air.

import { useEffect, useId, useState } from 'react';
import { t } from '../i18n/t';

import { levelOf, SILENT } from './level';

const EVERY_MS = 100;
/** After such a long silence the page shows a warning. */
const QUIET_MS = 4000;

/** The level of the stream's sound; null where it has none. */
function useLevel(stream: MediaStream | null): { level: number; isQuiet: boolean } | null {
  const [shown, setShown] = useState<{ level: number; isQuiet: boolean } | null>(null);
  useEffect(() => {
    setShown(null);
    if (!stream || stream.getAudioTracks().length === 0) return undefined;
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 1024 });
    context.createMediaStreamSource(stream).connect(analyser);
    // Browsers start a page's sound only after a person did something; choosing a source is that.
    void context.resume().catch(() => undefined);
    const samples = new Float32Array(analyser.fftSize);
    let heardMs = performance.now();
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const level = levelOf(samples);
      if (level > SILENT) heardMs = performance.now();
      setShown({ level, isQuiet: performance.now() - heardMs > QUIET_MS });
    }, EVERY_MS);
    return () => {
      clearInterval(timer);
      void context.close().catch(() => undefined);
    };
  }, [stream]);
  return shown;
}

export function LevelMeter({ stream }: { stream: MediaStream }) {
  const id = useId();
  const shown = useLevel(stream);
  if (shown === null) return <p className="quiet">{t('level.none')}</p>;
  return (
    <div>
      <div className="level">
        <label htmlFor={id}>{t('level.level')}</label>
        <meter id={id} min={0} max={1} low={0.05} high={0.95} optimum={0.6} value={shown.level} />
      </div>
      <p className="quiet" role="status">
        {shown.isQuiet ? t('level.silent') : ''}
      </p>
    </div>
  );
}
