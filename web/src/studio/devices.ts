// Cameras and microphones of this computer, as choices; and what is asked of the browser for them. Pure.

import { t } from '../i18n/t';

export type Source = 'camera' | 'screen';

export interface Choices {
  /** Device ids; empty is the browser's own choice. */
  camera: string;
  microphone: string;
  /** Sends the microphone with the screen, in place of the computer's own sound. */
  withMicrophone: boolean;
}

export const NO_CHOICE: Choices = { camera: '', microphone: '', withMicrophone: false };

export interface Option {
  id: string;
  label: string;
}

type Listed = Pick<MediaDeviceInfo, 'deviceId' | 'kind' | 'label'>;

const NAMES = { videoinput: 'device.camera', audioinput: 'device.microphone' } as const;

/** The devices of a kind. Without permission browsers give no ids and no labels: then there is nothing to choose. */
export function optionsOf(devices: readonly Listed[], kind: keyof typeof NAMES): Option[] {
  return devices
    .filter((one) => one.kind === kind && one.deviceId !== '')
    .map(({ deviceId, label }, n) => ({
      id: deviceId,
      label: label === '' ? t('device.numbered', { name: t(NAMES[kind]), number: n + 1 }) : label,
    }));
}

const chosen = (id: string): MediaTrackConstraints => (id === '' ? {} : { deviceId: { exact: id } });

export function cameraConstraints({ camera, microphone }: Choices): MediaStreamConstraints {
  return {
    video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, ...chosen(camera) },
    audio: { channelCount: { ideal: 2 }, ...chosen(microphone) },
  };
}

export const microphoneConstraints = ({ microphone }: Choices): MediaStreamConstraints => ({
  audio: { channelCount: { ideal: 2 }, ...chosen(microphone) },
});

export const screenConstraints = ({ withMicrophone }: Choices): DisplayMediaStreamOptions => ({
  video: { frameRate: { ideal: 30 } },
  audio: !withMicrophone,
});
