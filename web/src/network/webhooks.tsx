// The webhooks that get the network's events, and whether they answer.

import { useState } from 'react';
import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';

import { api } from '../kit/portal';
import type { Webhook } from '../kit/types';
import { useAction, useLive } from '../ui/hooks';
import { Confirm, ErrorNotice } from '../ui/parts';
import { None, Table } from './tables';

const POLL_MS = 5000;

const STATES: Readonly<Record<Webhook['state'], PlainKey>> = {
  active: 'hook.active',
  failing: 'hook.failing',
  dead: 'hook.dead',
};

export function WebhookState({ webhook }: { webhook: Webhook }) {
  return (
    <>
      <span className={webhook.state === 'active' ? 'mark mark-up' : 'mark mark-down'}>{t(STATES[webhook.state])}</span>
      {webhook.state !== 'active' && (
        <small>{t('hook.failures', { count: webhook.failures, reason: webhook.last_error })}</small>
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
            {t('hook.ping')}
          </button>
          <button
            type="button"
            className="button button-small button-danger"
            aria-label={t('common.removeNamed', { name: webhook.url })}
            onClick={onRemove}
          >
            {t('common.remove')}
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
          ? t('hook.answered', { url, ms: pong.took_ms.toFixed(0) })
          : t('hook.refused', { url, reason: pong.error }),
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
      <Table
        caption={t('hook.heading')}
        head={[
          'hook.url',
          'hook.events',
          'net.state',
          'hook.delivered',
          'hook.waiting',
          'hook.dropped',
          'common.actions',
        ]}
      >
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
        {data?.length === 0 && <None columns={7} text={t('hook.none')} />}
      </Table>
      {leaving && (
        <Confirm
          title={t('hook.removeConfirm')}
          action={t('common.remove')}
          onConfirm={() => {
            act(() => api.removeWebhook(leaving.id));
          }}
          onClose={() => {
            setLeaving(null);
          }}
        >
          <p>{t('hook.removeText', { url: leaving.url })}</p>
        </Confirm>
      )}
    </>
  );
}
