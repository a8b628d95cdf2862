import { expect, describe as suite, test } from 'vitest';

import { Drive, lost, playing, session } from './drive';
import { LIMITS } from './model';
import { describe } from './words';

suite('leaving an edge that is to rest', () => {
  test('by WebRTC it goes on playing until the new edge is there', () => {
    const drive = playing();
    expect(drive.tell({ type: 'move' })).toMatchObject([
      { type: 'hand-over', epoch: drive.state.epoch, left: { id: 's1' }, protocol: 'whep', quality: 'source' },
    ]);
    expect(drive.state.phase).toBe('playing');
    const effects = drive.tell({ type: 'moved', session: session('s2', 'pe1') });
    expect(effects).toEqual([{ type: 'close-session', session: session('s1') }]);
    expect(drive.state).toMatchObject({ phase: 'playing', session: { id: 's2', edge: 'pe1' } });
    drive.pass(1000, 7);
    expect(drive.state.phase).toBe('playing');
  });

  test('a new edge that then sends nothing is left like any other', () => {
    const drive = playing();
    drive.tell({ type: 'moved', session: session('s2', 'pe1') });
    drive.pass(LIMITS.stallMs);
    expect(drive.state.phase).toBe('stalled');
    drive.pass(LIMITS.stallMaxMs);
    expect(drive.effects.at(-1)).toMatchObject({ type: 'open-session' });
  });

  test('a move that comes too late is given back', () => {
    const drive = playing();
    const { epoch } = drive.state;
    drive.tell(lost('unreachable'));
    drive.effects = [];
    drive.raw({ type: 'moved', epoch, session: session('late', 'pe1') });
    expect(drive.effects).toEqual([{ type: 'close-session', session: session('late', 'pe1') }]);
  });

  test('one that does not come about is told, and what plays goes on', () => {
    const drive = playing();
    expect(drive.tell({ type: 'not-moved', quality: 'source', message: 'No room.' })).toEqual([]);
    expect(drive.state).toMatchObject({
      phase: 'playing',
      session: { id: 's1' },
      trouble: 'Asked to leave pe4: No room.',
    });
  });

  test('by HLS the new session is there before the old one goes', () => {
    const drive = playing('hls');
    expect(drive.tell({ type: 'move' })).toMatchObject([{ type: 'hand-over', protocol: 'hls' }]);
    expect(drive.state.phase).toBe('playing');
    const effects = drive.tell({ type: 'replaced', session: session('s2', 'pe1') });
    expect(effects).toMatchObject([
      { type: 'disconnect' },
      { type: 'close-session', session: { id: 's1' } },
      { type: 'connect', protocol: 'hls', session: { id: 's2' } },
    ]);
  });

  test('who does not play has nothing to move', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    expect(drive.tell({ type: 'move' })).toEqual([]);
  });
});

suite('the viewer', () => {
  test('choosing HLS reconnects over the same session', () => {
    const drive = playing();
    const effects = drive.tell({ type: 'choose', choice: 'hls' });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'connect']);
    expect(effects[1]).toMatchObject({ protocol: 'hls', session: { id: 's1' } });
  });

  test('choosing what is in use changes nothing', () => {
    const drive = playing();
    expect(drive.tell({ type: 'choose', choice: 'whep' })).toEqual([]);
    expect(drive.state.phase).toBe('playing');
  });

  test('a pause is not a stall', () => {
    const drive = playing('hls');
    drive.tell({ type: 'pause' });
    expect(drive.pass(60_000)).toEqual([]);
    expect(describe(drive.state).text).toBe('Paused');
    drive.tell({ type: 'resume' });
    expect(drive.pass(250)).toEqual([]);
    drive.pass(LIMITS.stallMs - 250);
    expect(drive.state.phase).toBe('stalled');
  });

  test('leaving closes the session and coming back opens one', () => {
    const drive = playing();
    expect(drive.tell({ type: 'leave' }).map((e) => e.type)).toEqual(['disconnect', 'close-session']);
    expect(drive.tell({ type: 'leave' })).toEqual([]);
    expect(drive.tell({ type: 'start' }).map((e) => e.type)).toEqual(['open-session']);
  });
});
