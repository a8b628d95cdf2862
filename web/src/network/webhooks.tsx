// Who is told of what happens in the network, who does not answer, and who was given up.

import { useState } from 'react';

import { api } from '../kit/portal';
import type { Webhook } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { Confirm, ErrorNotice } from '../ui/parts';
import { None, Table } from './tables';

const POLL_MS = 5000;

const STATES: Readonly<Record<Webhook['state'], string>> = {
  active: 'answers',
  failing: 'does not answer, is tried again',
  dead: 'given up: a ping that succeeds brings it back',
};

export function WebhookState({ webhook }: { webhook: Webhook }) {
  return (
    <>
      <span className={webhook.state === 'active' ? 'mark mark-up' : 'mark mark-down'}>{STATES[webhook.state]}</span>
      {webhook.state !== 'active' && (
        <small>
          {webhook.failures} in a row: {webhook.last_error}
        </small>
      )}
    </>
  );
}

interface RowProps {
  webhook: Webhook;
  busy: boolean;
  onPing: () => void;
  onRemove: () => void;
}

function Row({ webhook, busy, onPing, onRemove }: RowProps) {
  return (
    <tr>
      <th scope="row">
        {webhook.url}
        {webhook.note !== '' && <small>{webhook.note}</small>}
      </th>
      <td className="ports">
        {webhook.kinds.map((kind) => (
          <span key={kind} className="port">
            {kind}
          </span>
        ))}
      </td>
      <td>
        <WebhookState webhook={webhook} />
      </td>
      <td>{webhook.delivered}</td>
      <td>{webhook.waiting}</td>
      <td>{webhook.dropped}</td>
      <td>
        <span className="row">
          <button type="button" className="button button-small" disabled={busy} onClick={onPing}>
            Ping
          </button>
          <button
            type="button"
            className="button button-small button-danger"
            aria-label={`Tell ${webhook.url} no more`}
            onClick={onRemove}
          >
            Remove
          </button>
        </span>
      </td>
    </tr>
  );
}

export function Webhooks({ username }: { username: string }) {
  const { data, error, refresh } = useLive(`webhooks ${username}`, api.webhooks, [], POLL_MS);
  const [leaving, setLeaving] = useState<Webhook | null>(null);
  const [told, setTold] = useState('');
  const { busy, error: refused, run } = useAction();
  const act = (what: () => Promise<void>): void => {
    setTold('');
    void run(async () => {
      await what();
      refresh();
    });
  };
  const ping = ({ id, url }: Webhook): void => {
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
      <Table caption="Webhooks" head={['Told', 'Of', 'State', 'Delivered', 'Waiting', 'Dropped', 'Change']}>
        {data?.map((webhook) => (
          <Row
            key={webhook.id}
            webhook={webhook}
            busy={busy}
            onPing={() => {
              ping(webhook);
            }}
            onRemove={() => {
              setLeaving(webhook);
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
            act(() => api.removeWebhook(leaving.id));
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
