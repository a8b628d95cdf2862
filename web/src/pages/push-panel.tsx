// Notifications: whether this browser gets them, and which others do.

import { useId, useState } from 'react';
import { t } from '../i18n/t';

import { formatDateTime } from '../kit/format';
import { api } from '../kit/portal';
import { forgetDevice, pushSupport, storedDevice, turnOn } from '../kit/push';
import { useAction, useLive } from '../ui/hooks';
import { ErrorNotice, Loading } from '../ui/parts';

const POLL_MS = 60_000;

const REASONS = {
  no: 'push.unsupported',
  denied: 'push.denied',
} as const;

export function PushPanel({ username }: { username: string }) {
  const id = useId();
  const { data, error, refresh } = useLive(`push ${username}`, api.push, [], POLL_MS);
  const [failed, setFailed] = useState(false);
  const action = useAction();
  const support = pushSupport();
  const here = storedDevice();
  const isOn = data?.devices.some((device) => device.id === here) ?? false;
  const act = (what: () => Promise<void>): void => {
    setFailed(false);
    void action.run(async () => {
      await what();
      refresh();
    });
  };
  /** The browser's own refusals are not the server's. */
  const subscribe = async (publicKey: string): Promise<void> => {
    try {
      await turnOn(api, publicKey);
    } catch (reason) {
      if (reason instanceof Error && reason.name !== 'ApiError') setFailed(true);
      else throw reason;
    }
  };
  return (
    <section className="panel" aria-labelledby={id} aria-busy={data === null}>
      <h2 id={id}>{t('push.heading')}</h2>
      <p className="quiet">{t('push.about')}</p>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      {data === null && !error && <Loading what={t('push.loading')} />}
      {failed && (
        <p className="notice notice-bad" role="alert">
          {t('push.failed')}
        </p>
      )}
      {support !== 'yes' && <p className="notice">{t(REASONS[support])}</p>}
      {data !== null && support === 'yes' && (
        <div>
          <button
            type="button"
            className="button"
            aria-pressed={isOn}
            disabled={action.busy}
            onClick={() => {
              act(() => (isOn ? forgetDevice(api) : subscribe(data.public_key)));
            }}
          >
            {isOn ? t('push.turnOff') : t('push.turnOn')}
          </button>
        </div>
      )}
      {data !== null && data.devices.length > 0 && (
        <ul className="devices" aria-label={t('push.devices')}>
          {data.devices.map((device) => (
            <li key={device.id} className="row">
              <span>
                {device.label}
                {device.id === here && <span className="quiet"> {t('push.thisOne')}</span>}
                <small className="quiet"> {t('push.since', { time: formatDateTime(device.created_at) })}</small>
              </span>
              <button
                type="button"
                className="button button-small"
                disabled={action.busy}
                aria-label={t('common.removeNamed', { name: device.label })}
                onClick={() => {
                  act(() => (device.id === here ? forgetDevice(api) : api.removeDevice(device.id)));
                }}
              >
                {t('common.remove')}
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
