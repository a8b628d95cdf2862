import { describe, expect, it } from 'vitest';

import { cameraConstraints, NO_CHOICE, optionsOf, screenConstraints } from './devices';

const device = (kind: MediaDeviceKind, deviceId: string, label = '') => ({ kind, deviceId, label });

describe('devices', () => {
  it('are named, also where the browser gives no name', () => {
    const devices = [
      device('audioinput', 'a', 'Headset'),
      device('videoinput', 'b'),
      device('audiooutput', 'c', 'Speakers'),
      device('videoinput', 'd', 'Capture card'),
    ];
    expect(optionsOf(devices, 'videoinput')).toEqual([
      { id: 'b', label: 'Camera 1' },
      { id: 'd', label: 'Capture card' },
    ]);
    expect(optionsOf(devices, 'audioinput')).toEqual([{ id: 'a', label: 'Headset' }]);
  });

  it('without permission are none', () => {
    expect(optionsOf([device('videoinput', ''), device('audioinput', '')], 'videoinput')).toEqual([]);
  });

  it('are asked for exactly where one was chosen', () => {
    expect(cameraConstraints(NO_CHOICE).video).not.toHaveProperty('deviceId');
    const found = cameraConstraints({ ...NO_CHOICE, camera: 'b', microphone: 'a' });
    expect(found.video).toMatchObject({ deviceId: { exact: 'b' } });
    expect(found.audio).toMatchObject({ deviceId: { exact: 'a' } });
  });

  it('give the screen its own sound or the microphone, not both', () => {
    expect(screenConstraints(NO_CHOICE).audio).toBe(true);
    expect(screenConstraints({ ...NO_CHOICE, withMicrophone: true }).audio).toBe(false);
  });
});
