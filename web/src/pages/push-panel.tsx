// Notifications: whether this browser gets them, and which others do.

import { useId, useState } from 'react';

import { formatDateTime } from '../kit/format';
import { api } from '../kit/portal';
import { forgetDevice, pushSupport, storedDevice, turnOn } from '../kit/push';
import { useAction, useLive } from '../ui/hooks';
import { ErrorNotice, Loading } from '../ui/parts';

const POLL_MS = 60_000;

const REASONS = {
  no: 'This browser has no notifications here. They need https; on an iPhone, add Umbel to the home screen first.',
  denied: 'You do not allow notifications here. Allow them in the settings of your browser for this page.',
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
      <h2 id={id}>Notifications</h2>
      <p className="quiet">Reminders on your devices, also when no page is open. Only your browser can read them.</p>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {action.error && <ErrorNotice error={action.error} />}
      {data === null && !error && <Loading what="Loading your devices" />}
      {failed && (
        <p className="notice notice-bad" role="alert">
          The browser did not subscribe. Allow notifications for this page, and try again.
        </p>
      )}
      {support !== 'yes' && <p className="notice">{REASONS[support]}</p>}
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
            {isOn ? 'Turn off for this device' : 'Turn on for this device'}
          </button>
        </div>
      )}
      {data !== null && data.devices.length > 0 && (
        <ul className="devices" aria-label="Your devices">
          {data.devices.map((device) => (
            <li key={device.id} className="row">
              <span>
                {device.label}
                {device.id === here && <span className="quiet"> (this one)</span>}
                <small className="quiet"> since {formatDateTime(device.created_at)}</small>
              </span>
              <button
                type="button"
                className="button button-small"
                disabled={action.busy}
                aria-label={`Remove ${device.label}`}
                onClick={() => {
                  act(() => (device.id === here ? forgetDevice(api) : api.removeDevice(device.id)));
                }}
              >
                Remove
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
