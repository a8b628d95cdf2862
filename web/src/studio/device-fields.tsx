// Which camera and microphone are used.

import { useEffect, useId, useState } from 'react';
import { t } from '../i18n/t';

import { type Choices, type Option, optionsOf } from './devices';

/** The devices there are now. They have names once a stream was opened. */
function useDevices(stream: MediaStream | null): MediaDeviceInfo[] {
  const [devices, setDevices] = useState<MediaDeviceInfo[]>([]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another stream may come with the permission to see names
  useEffect(() => {
    const media = navigator.mediaDevices as MediaDevices | undefined;
    if (!media) return undefined;
    let isGone = false;
    const look = (): void => {
      media.enumerateDevices().then(
        (found) => {
          if (!isGone) setDevices(found);
        },
        () => undefined,
      );
    };
    look();
    media.addEventListener('devicechange', look);
    return () => {
      isGone = true;
      media.removeEventListener('devicechange', look);
    };
  }, [stream]);
  return devices;
}

interface DeviceSelectProps {
  label: string;
  options: readonly Option[];
  value: string;
  disabled: boolean;
  onChange: (id: string) => void;
}

function DeviceSelect({ label, options, value, disabled, onChange }: DeviceSelectProps) {
  const id = useId();
  const isThere = value === '' || options.some((one) => one.id === value);
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        disabled={disabled}
        value={isThere ? value : ''}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      >
        <option value="">{t('device.byBrowser')}</option>
        {options.map((one) => (
          <option key={one.id} value={one.id}>
            {one.label}
          </option>
        ))}
      </select>
    </div>
  );
}

interface DeviceFieldsProps {
  stream: MediaStream | null;
  choices: Choices;
  disabled: boolean;
  isOnAir: boolean;
  onChange: (choices: Choices) => void;
}

/** Nothing before the first stream: browsers name no device until they may. */
export function DeviceFields({ stream, choices, disabled, isOnAir, onChange }: DeviceFieldsProps) {
  const devices = useDevices(stream);
  const cameras = optionsOf(devices, 'videoinput');
  const microphones = optionsOf(devices, 'audioinput');
  return (
    <>
      {stream && cameras.length + microphones.length > 0 && (
        <div className="pair">
          <DeviceSelect
            label={t('device.camera')}
            options={cameras}
            value={choices.camera}
            disabled={disabled}
            onChange={(camera) => {
              onChange({ ...choices, camera });
            }}
          />
          <DeviceSelect
            label={t('device.microphone')}
            options={microphones}
            value={choices.microphone}
            disabled={disabled}
            onChange={(microphone) => {
              onChange({ ...choices, microphone });
            }}
          />
        </div>
      )}
      <label className="tick">
        <input
          type="checkbox"
          disabled={isOnAir}
          checked={choices.withMicrophone}
          onChange={(event) => {
            onChange({ ...choices, withMicrophone: event.target.checked });
          }}
        />
        {t('device.withMicrophone')}
      </label>
    </>
  );
}
