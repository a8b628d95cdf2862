// What the player shows next to the video: the status line, the controls, the details.

import { type ReactNode, useId, useSyncExternalStore } from 'react';
import { t } from '../i18n/t';

import { formatLatency, formatMbps } from '../kit/format';
import type { Choice } from './model';
import { choosable, shownQuality } from './quality';
import { qualityName } from './quality-names';
import type { Player, Snapshot } from './runner';
import { PROTOCOL_NAMES, qualityStatus } from './status';

export function useSnapshot(player: Player): Snapshot {
  return useSyncExternalStore(player.subscribe, player.get);
}

/** Changes are read out politely; the numbers elsewhere are not. */
export function StatusLine({ player, heightPx }: { player: Player; heightPx: number }) {
  const { state, status } = useSnapshot(player);
  return (
    <div>
      <p className={`status status-${status.mood}`} role="status" aria-live="polite">
        <span className="status-dot" aria-hidden="true" />
        <span data-testid="status">{status.text}</span>
      </p>
      <p className="status-more" role="status" aria-live="polite" data-testid="quality-status">
        {qualityStatus(state, heightPx)}
      </p>
    </div>
  );
}

interface SegmentsProps<T extends string> {
  legend: string;
  items: readonly { value: T; label: string }[];
  chosen: T;
  onChoose: (value: T) => void;
}

function Segments<T extends string>({ legend, items, chosen, onChoose }: SegmentsProps<T>) {
  const name = useId();
  return (
    <fieldset className="segments">
      <legend className="visually-hidden">{legend}</legend>
      {items.map(({ value, label }) => (
        <label key={value}>
          <input
            type="radio"
            name={name}
            value={value}
            checked={chosen === value}
            onChange={() => {
              onChoose(value);
            }}
          />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  );
}

const CHOICES: readonly Choice[] = ['auto', 'whep', 'hls'];

function ProtocolChoice({ player, onChoose }: { player: Player; onChoose: (choice: Choice) => void }) {
  const { choice } = useSnapshot(player).state;
  const items = CHOICES.map((value) => ({ value, label: value === 'auto' ? t('player.auto') : PROTOCOL_NAMES[value] }));
  return <Segments legend={t('player.protocol')} items={items} chosen={choice} onChoose={onChoose} />;
}

interface QualityChoiceProps {
  player: Player;
  heightPx: number;
  onChoose: (quality: string) => void;
}

/** Nothing, where there is nothing to choose. */
export function QualityChoice({ player, heightPx, onChoose }: QualityChoiceProps) {
  const { state } = useSnapshot(player);
  const offered = choosable(state);
  if (offered.length < 2) return null;
  const items = offered.map((value) => ({ value, label: qualityName(value, heightPx) }));
  return <Segments legend={t('player.quality')} items={items} chosen={shownQuality(state)} onChoose={onChoose} />;
}

function Fact({ name, children, note }: { name: string; children: ReactNode; note?: string }) {
  return (
    <div className="fact">
      <dt>{name}</dt>
      <dd>
        {children}
        {note !== undefined && note !== '' && <small>{note}</small>}
      </dd>
    </div>
  );
}

const or = <T,>(value: T | null, format: (value: T) => string): string => (value === null ? '–' : format(value));

interface FactsProps {
  player: Player;
  heightPx: number;
  onChoose: (choice: Choice) => void;
}

/** How the picture comes, and by which protocol it is to come. */
export function Facts({ player, heightPx, onChoose }: FactsProps) {
  const { state, details, sessionsOpened } = useSnapshot(player);
  const size = details.width && details.height ? `${String(details.width)} × ${String(details.height)}` : '–';
  const rate = or(details.framesPerS, (fps) => t('player.fps', { fps: Math.round(fps) }));
  return (
    <details className="facts">
      <summary>{t('player.details')}</summary>
      <div className="choices">
        <ProtocolChoice player={player} onChoose={onChoose} />
      </div>
      <dl>
        <Fact name={t('player.edge')}>{state.session?.edge ?? '–'}</Fact>
        <Fact name={t('player.protocol')} note={state.fallback ? t('player.webrtcFailed') : ''}>
          {or(state.protocol, (protocol) => PROTOCOL_NAMES[protocol])}
        </Fact>
        <Fact name={t('player.quality')}>{or(state.session, (session) => qualityName(session.quality, heightPx))}</Fact>
        <Fact name={t('player.latency')} note={details.latencyNote}>
          {or(details.latencyS, formatLatency)}
        </Fact>
        <Fact name={t('player.resolution')} note={rate === '–' ? '' : rate}>
          {size}
        </Fact>
        <Fact name={t('player.bitrate')}>{or(details.mbps, formatMbps)}</Fact>
        <Fact name={t('player.dropped')}>{or(details.dropped, String)}</Fact>
        <Fact name={t('player.codec')}>{details.codec ?? '–'}</Fact>
        <Fact name={t('player.sessions')} note={state.trouble}>
          {String(sessionsOpened)}
        </Fact>
      </dl>
    </details>
  );
}
