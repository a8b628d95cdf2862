// What the player says of itself: the status line, the protocol control, the details.

import { useId, useSyncExternalStore, type ReactNode } from 'react';

import { formatLatency, formatMbps } from '../kit/format';
import type { Choice } from './model';
import type { Player, Snapshot } from './runner';
import { PROTOCOL_NAMES } from './words';

export function useSnapshot(player: Player): Snapshot {
  return useSyncExternalStore(player.subscribe, player.get);
}

/** Changes are read out politely; the numbers elsewhere are not. */
export function StatusLine({ player }: { player: Player }) {
  const { status } = useSnapshot(player);
  return (
    <p className={`status status-${status.mood}`} role="status" aria-live="polite">
      <span className="status-dot" aria-hidden="true" />
      <span data-testid="status">{status.text}</span>
    </p>
  );
}

const CHOICES: readonly { value: Choice; label: string }[] = [
  { value: 'auto', label: 'Auto' },
  { value: 'whep', label: 'WebRTC' },
  { value: 'hls', label: 'HLS' },
];

export function ProtocolChoice({ player, onChoose }: { player: Player; onChoose: (choice: Choice) => void }) {
  const { choice } = useSnapshot(player).state;
  const name = useId();
  return (
    <fieldset className="segments">
      <legend className="visually-hidden">Protocol</legend>
      {CHOICES.map((item) => (
        <label key={item.value}>
          <input
            type="radio"
            name={name}
            value={item.value}
            checked={choice === item.value}
            onChange={() => {
              onChoose(item.value);
            }}
          />
          <span>{item.label}</span>
        </label>
      ))}
    </fieldset>
  );
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

const or = <T,>(value: T | null, words: (value: T) => string): string => (value === null ? '–' : words(value));

export function Facts({ player }: { player: Player }) {
  const { state, details, sessionsOpened } = useSnapshot(player);
  const size = details.width && details.height ? `${String(details.width)} × ${String(details.height)}` : '–';
  const rate = or(details.framesPerS, (fps) => `${String(Math.round(fps))} fps`);
  return (
    <details className="facts">
      <summary>Details</summary>
      <dl>
        <Fact name="Edge">{state.session?.edge ?? '–'}</Fact>
        <Fact name="Protocol" note={state.fallback ? 'WebRTC did not get through' : ''}>
          {or(state.protocol, (protocol) => PROTOCOL_NAMES[protocol])}
        </Fact>
        <Fact name="Latency" note={details.latencyNote}>
          {or(details.latencyS, formatLatency)}
        </Fact>
        <Fact name="Resolution" note={rate === '–' ? '' : rate}>
          {size}
        </Fact>
        <Fact name="Bitrate">{or(details.mbps, formatMbps)}</Fact>
        <Fact name="Dropped frames">{or(details.dropped, String)}</Fact>
        <Fact name="Codec">{details.codec ?? '–'}</Fact>
        <Fact name="Sessions opened" note={state.trouble}>
          {String(sessionsOpened)}
        </Fact>
      </dl>
    </details>
  );
}
