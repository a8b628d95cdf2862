// Who is told of what happens in the network, who does not answer, and who was given up.

import { useState } from 'react';

import { api } from '../kit/portal';
import type { Callback } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { Confirm, ErrorNotice } from '../ui/parts';
import { None, Table } from './tables';

const POLL_MS = 5000;

const STATES: Readonly<Record<Callback['state'], string>> = {
  active: 'answers',
  failing: 'does not answer, is tried again',
  dead: 'given up: a ping that succeeds brings it back',
};

export function CallbackState({ callback }: { callback: Callback }) {
  return (
    <>
      <span className={callback.state === 'active' ? 'mark mark-up' : 'mark mark-down'}>{STATES[callback.state]}</span>
      {callback.state !== 'active' && (
        <small>
          {callback.failures} in a row: {callback.last_error}
        </small>
      )}
    </>
  );
}

interface RowProps {
  callback: Callback;
  busy: boolean;
  onPing: () => void;
  onRemove: () => void;
}

function Row({ callback, busy, onPing, onRemove }: RowProps) {
  return (
    <tr>
      <th scope="row">
        {callback.url}
        {callback.note !== '' && <small>{callback.note}</small>}
      </th>
      <td className="ports">
        {callback.kinds.map((kind) => (
          <span key={kind} className="port">
            {kind}
          </span>
        ))}
      </td>
      <td>
        <CallbackState callback={callback} />
      </td>
      <td>{callback.delivered}</td>
      <td>{callback.waiting}</td>
      <td>{callback.dropped}</td>
      <td>
        <span className="row">
          <button type="button" className="button button-small" disabled={busy} onClick={onPing}>
            Ping
          </button>
          <button
            type="button"
            className="button button-small button-danger"
            aria-label={`Tell ${callback.url} no more`}
            onClick={onRemove}
          >
            Remove
          </button>
        </span>
      </td>
    </tr>
  );
}

export function Callbacks({ username }: { username: string }) {
  const { data, error, refresh } = useLive(`callbacks ${username}`, api.callbacks, [], POLL_MS);
  const [leaving, setLeaving] = useState<Callback | null>(null);
  const [told, setTold] = useState('');
  const { busy, error: refused, run } = useAction();
  const act = (what: () => Promise<void>): void => {
    setTold('');
    void run(async () => {
      await what();
      refresh();
    });
  };
  const ping = ({ id, url }: Callback): void => {
    act(async () => {
      const came = await api.ping(id);
      setTold(
        came.delivered
          ? `${url} took a ping in ${came.took_ms.toFixed(0)} ms.`
          : `${url} did not take it: ${came.error}.`,
      );
    });
  };
  const wrong = refused ?? error;
  return (
    <>
      {wrong && <ErrorNotice error={wrong} />}
      <p role="status" className="quiet">
        {told}
      </p>
      <Table caption="Callbacks" head={['Told', 'Of', 'State', 'Delivered', 'Waiting', 'Dropped', 'Change']}>
        {data?.map((callback) => (
          <Row
            key={callback.id}
            callback={callback}
            busy={busy}
            onPing={() => {
              ping(callback);
            }}
            onRemove={() => {
              setLeaving(callback);
            }}
          />
        ))}
        {data?.length === 0 && <None columns={7} text="Nobody is told. Programs register at /api/v1/notifications." />}
      </Table>
      {leaving && (
        <Confirm
          title="Tell it no more?"
          action="Remove"
          onConfirm={() => {
            act(() => api.removeCallback(leaving.id));
          }}
          onClose={() => {
            setLeaving(null);
          }}
        >
          <p>{leaving.url} is told nothing more, and its secret is forgotten.</p>
        </Confirm>
      )}
    </>
  );
}
