import { describe, expect, test } from 'vitest';

import { lost, MachineHarness, session } from './machine-harness';
import { LIMITS } from './model';
import { statusOf } from './status';

describe('getting to the first picture', () => {
  test('asks, connects by WHEP and plays', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'start' });
    expect(statusOf(machine.state).text).toBe('Finding the nearest edge');
    machine.send({ type: 'opened', session: session('s1') });
    expect(machine.effects.at(-1)).toMatchObject({ type: 'connect', protocol: 'whep' });
    expect(statusOf(machine.state).text).toBe('Connecting to pe4 over WebRTC');
    machine.send({ type: 'linked' });
    machine.send({ type: 'progress', value: 1 });
    expect(statusOf(machine.state)).toEqual({ text: 'Live', mood: 'live' });
  });

  test('no progress is no picture', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'start' });
    machine.send({ type: 'opened', session: session('s1') });
    machine.send({ type: 'progress', value: 0 });
    expect(machine.state.phase).toBe('connecting');
  });

  test('a browser without WebRTC goes to HLS', () => {
    const machine = new MachineHarness('auto', false);
    machine.send({ type: 'start' });
    machine.send({ type: 'opened', session: session('s1') });
    expect(machine.effects.at(-1)).toMatchObject({ type: 'connect', protocol: 'hls' });
  });

  test('auto falls back to HLS over the same session when ICE does not get through', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'start' });
    machine.send({ type: 'opened', session: session('s1') });
    machine.advance(LIMITS.linkMs.whep);
    expect(machine.effects.at(-1)).toMatchObject({ type: 'connect', protocol: 'hls', session: { id: 's1' } });
    expect(machine.types()).not.toContain('close-session');
  });

  test('forced WebRTC does not fall back', () => {
    const machine = new MachineHarness('whep');
    machine.send({ type: 'start' });
    machine.send({ type: 'opened', session: session('s1') });
    machine.advance(LIMITS.linkMs.whep);
    expect(machine.effects.at(-1)).toMatchObject({ type: 'open-session' });
    expect(machine.effects.filter((e) => e.type === 'connect' && e.protocol === 'hls')).toEqual([]);
  });

  test('after HLS fails too, WebRTC is tried again', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'start' });
    machine.send({ type: 'opened', session: session('s1') });
    machine.send(lost('ice'));
    expect(machine.state.protocol).toBe('hls');
    machine.send(lost('media'));
    machine.send({ type: 'opened', session: session('s2') });
    expect(machine.state.protocol).toBe('whep');
  });

  test('a browser without the codec plays HLS over the same session, and stays with it', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'start' });
    machine.send({ type: 'opened', session: session('s1') });
    machine.send(lost('codec'));
    expect(machine.effects.at(-1)).toMatchObject({ type: 'connect', protocol: 'hls', session: { id: 's1' } });
    machine.send(lost('media'));
    machine.send({ type: 'opened', session: session('s2') });
    expect(machine.state).toMatchObject({ protocol: 'hls', trouble: 'media' });
  });

  test('a session that never comes is requested again', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'start' });
    machine.advance(LIMITS.openMs + 250);
    expect(machine.types().filter((t) => t === 'open-session')).toHaveLength(2);
  });

  test('a late session is closed', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'start' });
    const { epoch } = machine.state;
    machine.send({ type: 'leave' });
    expect(machine.sendRaw({ type: 'opened', epoch, session: session('late') })).toEqual([
      { type: 'close-session', session: session('late') },
    ]);
    expect(machine.state.phase).toBe('idle');
  });
});
