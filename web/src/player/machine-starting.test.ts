import { expect, describe as suite, test } from 'vitest';

import { Drive, lost, session } from './drive';
import { LIMITS } from './model';
import { describe } from './words';

suite('getting to the first picture', () => {
  test('asks, connects by WHEP and plays', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    expect(describe(drive.state).text).toBe('Finding the nearest edge');
    drive.tell({ type: 'opened', session: session('s1') });
    expect(drive.effects.at(-1)).toMatchObject({ type: 'connect', protocol: 'whep' });
    expect(describe(drive.state).text).toBe('Connecting to pe4 by WebRTC');
    drive.tell({ type: 'linked' });
    drive.tell({ type: 'progress', value: 1 });
    expect(describe(drive.state)).toEqual({ text: 'Live', mood: 'live' });
  });

  test('no progress is no picture', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    drive.tell({ type: 'progress', value: 0 });
    expect(drive.state.phase).toBe('connecting');
  });

  test('a browser without WebRTC goes to HLS', () => {
    const drive = new Drive('auto', false);
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    expect(drive.effects.at(-1)).toMatchObject({ type: 'connect', protocol: 'hls' });
  });

  test('auto falls back to HLS over the same session when ICE does not get through', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    drive.pass(LIMITS.linkMs.whep);
    expect(drive.effects.at(-1)).toMatchObject({ type: 'connect', protocol: 'hls', session: { id: 's1' } });
    expect(drive.types()).not.toContain('close-session');
  });

  test('forced WebRTC does not fall back', () => {
    const drive = new Drive('whep');
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    drive.pass(LIMITS.linkMs.whep);
    expect(drive.effects.at(-1)).toMatchObject({ type: 'open-session' });
    expect(drive.effects.filter((e) => e.type === 'connect' && e.protocol === 'hls')).toEqual([]);
  });

  test('after HLS fails too, WebRTC is tried again', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    drive.tell(lost('ice'));
    expect(drive.state.protocol).toBe('hls');
    drive.tell(lost('media'));
    drive.tell({ type: 'opened', session: session('s2') });
    expect(drive.state.protocol).toBe('whep');
  });

  test('a session that never comes is asked for again', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.pass(LIMITS.askMs + 250);
    expect(drive.types().filter((t) => t === 'open-session')).toHaveLength(2);
  });

  test('a late session is given back', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    const { epoch } = drive.state;
    drive.tell({ type: 'leave' });
    expect(drive.raw({ type: 'opened', epoch, session: session('late') })).toEqual([
      { type: 'close-session', session: session('late') },
    ]);
    expect(drive.state.phase).toBe('idle');
  });
});
