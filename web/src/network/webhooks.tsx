// The webhooks that get the network's events, and whether they answer.

import { useState } from 'react';

import { api } from '../kit/portal';
import type { Webhook } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { Confirm, ErrorNotice } from '../ui/parts';
import { None, Table } from './tables';

const POLL_MS = 5000;

const STATES: Readonly<Record<Webhook['state'], string>> = {
  active: 'active',
  failing: 'failing, will be retried',
  dead: 'disabled: a successful ping enables it again',
};

export function WebhookState({ webhook }: { webhook: Webhook }) {
  return (
    <>
      <span className={webhook.state === 'active' ? 'mark mark-up' : 'mark mark-down'}>{STATES[webhook.state]}</span>
      {webhook.state !== 'active' && (
        <small>
          Consecutive failures: {webhook.failures} ({webhook.last_error})
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
            aria-label={`Remove ${webhook.url}`}
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
  const [result, setResult] = useState('');
  const { busy, error: refused, run } = useAction();
  const act = (what: () => Promise<void>): void => {
    setResult('');
    void run(async () => {
      await what();
      refresh();
    });
  };
  const ping = ({ id, url }: Webhook): void => {
    act(async () => {
      const pong = await api.ping(id);
      setResult(
        pong.delivered
          ? `${url} answered the ping in ${pong.took_ms.toFixed(0)} ms.`
          : `${url} did not accept the ping: ${pong.error}.`,
      );
    });
  };
  const wrong = refused ?? error;
  return (
    <>
      {wrong && <ErrorNotice error={wrong} />}
      <p role="status" className="quiet">
        {result}
      </p>
      <Table caption="Webhooks" head={['URL', 'Events', 'State', 'Delivered', 'Waiting', 'Dropped', 'Actions']}>
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
        {data?.length === 0 && (
          <None columns={7} text="No webhooks registered. Programs register at /api/v1/notifications." />
        )}
      </Table>
      {leaving && (
        <Confirm
          title="Remove this webhook?"
          action="Remove"
          onConfirm={() => {
            act(() => api.removeWebhook(leaving.id));
          }}
          onClose={() => {
            setLeaving(null);
          }}
        >
          <p>No more events are sent to {leaving.url}, and its secret is deleted.</p>
        </Confirm>
      )}
    </>
  );
}
