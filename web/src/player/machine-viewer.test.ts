import { describe, expect, test } from 'vitest';

import { lost, MachineHarness, playing, session } from './machine-harness';
import { LIMITS } from './model';
import { statusOf } from './status';

describe('leaving an edge that is drained', () => {
  test('by WebRTC it goes on playing until the new edge is there', () => {
    const machine = playing();
    expect(machine.send({ type: 'move' })).toMatchObject([
      { type: 'hand-over', epoch: machine.state.epoch, left: { id: 's1' }, protocol: 'whep', quality: 'source' },
    ]);
    expect(machine.state.phase).toBe('playing');
    const effects = machine.send({ type: 'moved', session: session('s2', 'pe1') });
    expect(effects).toEqual([{ type: 'close-session', session: session('s1') }]);
    expect(machine.state).toMatchObject({ phase: 'playing', session: { id: 's2', edge: 'pe1' } });
    machine.advance(1000, 7);
    expect(machine.state.phase).toBe('playing');
  });

  test('a new edge that then sends nothing is left like any other', () => {
    const machine = playing();
    machine.send({ type: 'moved', session: session('s2', 'pe1') });
    machine.advance(LIMITS.stallMs);
    expect(machine.state.phase).toBe('stalled');
    machine.advance(LIMITS.stallMaxMs);
    expect(machine.effects.at(-1)).toMatchObject({ type: 'open-session' });
  });

  test('a session of a late move is closed', () => {
    const machine = playing();
    const { epoch } = machine.state;
    machine.send(lost('unreachable'));
    machine.effects = [];
    machine.sendRaw({ type: 'moved', epoch, session: session('late', 'pe1') });
    expect(machine.effects).toEqual([{ type: 'close-session', session: session('late', 'pe1') }]);
  });

  test('a failed move is reported, and playback goes on', () => {
    const machine = playing();
    expect(machine.send({ type: 'not-moved', quality: 'source', message: 'No room.' })).toEqual([]);
    expect(machine.state).toMatchObject({
      phase: 'playing',
      session: { id: 's1' },
      trouble: 'Could not leave pe4: No room.',
    });
  });

  test('by HLS the new session is there before the old one goes', () => {
    const machine = playing('hls');
    expect(machine.send({ type: 'move' })).toMatchObject([{ type: 'hand-over', protocol: 'hls' }]);
    expect(machine.state.phase).toBe('playing');
    const effects = machine.send({ type: 'replaced', session: session('s2', 'pe1') });
    expect(effects).toMatchObject([
      { type: 'disconnect' },
      { type: 'close-session', session: { id: 's1' } },
      { type: 'connect', protocol: 'hls', session: { id: 's2' } },
    ]);
  });

  test('nothing moves while nothing plays', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'start' });
    expect(machine.send({ type: 'move' })).toEqual([]);
  });
});

describe('the viewer', () => {
  test('choosing HLS reconnects over the same session', () => {
    const machine = playing();
    const effects = machine.send({ type: 'choose', choice: 'hls' });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'connect']);
    expect(effects[1]).toMatchObject({ protocol: 'hls', session: { id: 's1' } });
  });

  test('choosing what is in use changes nothing', () => {
    const machine = playing();
    expect(machine.send({ type: 'choose', choice: 'whep' })).toEqual([]);
    expect(machine.state.phase).toBe('playing');
  });

  test('a pause is not a stall', () => {
    const machine = playing('hls');
    machine.send({ type: 'pause' });
    expect(machine.advance(60_000)).toEqual([]);
    expect(statusOf(machine.state).text).toBe('Paused');
    machine.send({ type: 'resume' });
    expect(machine.advance(250)).toEqual([]);
    machine.advance(LIMITS.stallMs - 250);
    expect(machine.state.phase).toBe('stalled');
  });

  test('leaving closes the session and coming back opens one', () => {
    const machine = playing();
    expect(machine.send({ type: 'leave' }).map((e) => e.type)).toEqual(['disconnect', 'close-session']);
    expect(machine.send({ type: 'leave' })).toEqual([]);
    expect(machine.send({ type: 'start' }).map((e) => e.type)).toEqual(['open-session']);
  });
});
