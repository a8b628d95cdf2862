import { describe, expect, test } from 'vitest';

import { eventInfo, lost, MachineHarness, playing, refusal, session } from './machine-harness';
import { type Choice, LIMITS } from './model';
import { shownQuality } from './quality';
import { qualityName } from './quality-names';
import { qualityStatus } from './status';

const ALL = ['source', '720p', '360p'];
const offering = eventInfo('live', true, ALL);
const plain = eventInfo('live', true, ['source']);

/** Plays the source of an event that offers lower qualities. */
const choosing = (choice: Choice = 'auto'): MachineHarness => playing(choice, offering);

const statusLine = (machine: MachineHarness): string => qualityStatus(machine.state, 1080);

/** An event that is watched by an address with `?quality=360p`. */
function wanting(event = offering): MachineHarness {
  const machine = new MachineHarness('auto', true, '360p');
  machine.send({ type: 'event-changed', info: event });
  machine.send({ type: 'start' });
  return machine;
}

describe('the quality of a session', () => {
  test('the wanted quality, where it is on offer', () => {
    expect(wanting().effects).toMatchObject([{ type: 'open-session', quality: '360p' }]);
  });

  test.each([
    ['not on offer', plain],
    ['of a portal that knows none', eventInfo('live', true)],
  ])('the source, where the wanted one is %s', (_what, event) => {
    const machine = wanting(event);
    expect(machine.effects).toMatchObject([{ type: 'open-session', quality: 'source' }]);
    expect(statusLine(machine)).toBe('');
  });

  test('the same again when the edge is lost', () => {
    const machine = wanting();
    machine.send({ type: 'opened', session: session('s1', 'pe4', '360p') });
    machine.send(lost('unreachable'));
    expect(machine.effects.at(-1)).toMatchObject({ type: 'open-session', quality: '360p' });
  });

  test('the source when the edge is lost and the quality is gone, and the wanted one once it is back', () => {
    const machine = wanting();
    machine.send({ type: 'opened', session: session('s1', 'pe4', '360p') });
    machine.send({ type: 'linked' });
    machine.advance(500, 7);
    // What plays is not given up for what is not on offer any more.
    expect(machine.send({ type: 'event-changed', info: plain })).toEqual([]);
    expect(shownQuality(machine.state)).toBe('360p');
    machine.send(lost('unreachable'));
    expect(machine.effects.at(-1)).toMatchObject({ type: 'open-session', quality: 'source' });
    machine.send({ type: 'opened', session: session('s2') });
    machine.send({ type: 'linked' });
    machine.advance(500, 7);
    expect(shownQuality(machine.state)).toBe('source');
    expect(machine.send({ type: 'event-changed', info: offering })).toMatchObject([
      { type: 'hand-over', quality: '360p' },
    ]);
  });
});

describe('choosing while it plays', () => {
  test.each(['whep', 'hls'] as const)('by %s plays on until the new one is there', (protocol) => {
    const machine = choosing(protocol);
    const { epoch } = machine.state;
    const effects = machine.send({ type: 'quality', quality: '360p' });
    expect(effects).toMatchObject([{ type: 'hand-over', epoch, protocol, quality: '360p', left: { id: 's1' } }]);
    expect(machine.state.phase).toBe('playing');
    expect(statusLine(machine)).toBe('Switching to 360p');
    expect(shownQuality(machine.state)).toBe('360p');
  });

  test('over WebRTC the change is invisible', () => {
    const machine = choosing();
    machine.send({ type: 'quality', quality: '360p' });
    const effects = machine.send({ type: 'moved', session: session('s2', 'pe4', '360p') });
    expect(effects).toMatchObject([{ type: 'close-session', session: { id: 's1' } }]);
    expect(machine.state).toMatchObject({ phase: 'playing', quality: '360p', session: { id: 's2' } });
    expect(statusLine(machine)).toBe('');
  });

  test('over HLS it connects again', () => {
    const machine = choosing('hls');
    machine.send({ type: 'quality', quality: '360p' });
    const effects = machine.send({ type: 'replaced', session: session('s2', 'pe4', '360p') });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session', 'connect']);
    expect(machine.state).toMatchObject({ phase: 'connecting', quality: '360p', session: { id: 's2' } });
  });

  test('a failure leaves what plays, with a plain message, and is not repeated', () => {
    const machine = choosing();
    machine.send({ type: 'quality', quality: '360p' });
    expect(machine.send({ type: 'not-moved', quality: '360p', message: 'No edge has room' })).toEqual([]);
    expect(machine.state).toMatchObject({ phase: 'playing', quality: 'source', session: { id: 's1' } });
    expect(statusLine(machine)).toBe('360p is not available now: No edge has room.');
    expect(machine.send({ type: 'event-changed', info: offering })).toEqual([]);
    machine.send({ type: 'quality', quality: '720p' });
    expect(statusLine(machine)).toBe('Switching to 720p');
  });

  test('the message goes after a while', () => {
    const machine = choosing();
    machine.send({ type: 'quality', quality: '360p' });
    machine.send({ type: 'not-moved', quality: '360p', message: 'No edge has room.' });
    machine.advance(LIMITS.noticeMs - 250, 7);
    expect(statusLine(machine)).not.toBe('');
    machine.advance(250, 7);
    expect(statusLine(machine)).toBe('');
    expect(machine.state.phase).toBe('playing');
  });

  test('a failure to return to the source is shown', () => {
    const machine = choosing();
    machine.send({ type: 'moved', session: session('s2', 'pe4', '360p') });
    expect(machine.state.quality).toBe('360p');
    machine.send({ type: 'quality', quality: 'source' });
    machine.send({ type: 'not-moved', quality: 'source', message: 'No edge has room.' });
    expect(machine.state.quality).toBe('360p');
    expect(statusLine(machine)).toBe('The source quality is not available now: No edge has room.');
  });

  test('choosing the old quality ends the change', () => {
    const machine = choosing();
    machine.send({ type: 'quality', quality: '360p' });
    expect(machine.send({ type: 'quality', quality: 'source' })).toEqual([{ type: 'keep', quality: 'source' }]);
    expect(statusLine(machine)).toBe('');
  });

  test('a portal that gives another quality gets no second request', () => {
    const machine = choosing();
    machine.send({ type: 'quality', quality: '360p' });
    machine.send({ type: 'moved', session: session('s2', 'pe4', 'source') });
    expect(machine.send({ type: 'event-changed', info: offering })).toEqual([]);
    expect(machine.state.quality).toBe('source');
  });

  test('an edge lost in the meantime leads straight to the new quality', () => {
    const machine = choosing();
    machine.send({ type: 'quality', quality: '360p' });
    machine.send(lost('unreachable'));
    expect(machine.effects.at(-1)).toMatchObject({ type: 'open-session', quality: '360p' });
  });

  test('another protocol chosen in the meantime takes the new quality along', () => {
    const machine = choosing();
    machine.send({ type: 'quality', quality: '360p' });
    const effects = machine.send({ type: 'choose', choice: 'hls' });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session', 'open-session']);
    expect(effects[2]).toMatchObject({ quality: '360p' });
  });

  test('an edge that is to rest is left for the same quality', () => {
    const machine = choosing();
    machine.send({ type: 'moved', session: session('s2', 'pe4', '360p') });
    expect(machine.send({ type: 'move' })).toMatchObject([{ type: 'hand-over', quality: '360p' }]);
    expect(statusLine(machine)).toBe('');
  });
});

describe('choosing before it plays', () => {
  test('a session that is being opened is requested again, and the first is closed', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'event-changed', info: offering });
    machine.send({ type: 'start' });
    const { epoch } = machine.state;
    expect(machine.send({ type: 'quality', quality: '360p' })).toMatchObject([
      { type: 'open-session', quality: '360p' },
    ]);
    const late = session('late');
    expect(machine.sendRaw({ type: 'opened', epoch, session: late })).toEqual([
      { type: 'close-session', session: late },
    ]);
  });

  test('a connection that is being made is left', () => {
    const machine = wanting();
    machine.send({ type: 'opened', session: session('s1', 'pe4', '360p') });
    const effects = machine.send({ type: 'quality', quality: 'source' });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session', 'open-session']);
    expect(effects[2]).toMatchObject({ quality: 'source' });
  });

  test('a wait for the next attempt goes on', () => {
    const machine = choosing();
    machine.send(lost('ice'));
    machine.send(refusal(503));
    expect(machine.state.phase).toBe('backoff');
    expect(machine.send({ type: 'quality', quality: '360p' })).toEqual([]);
    machine.advance(1000);
    expect(machine.effects.at(-1)).toMatchObject({ type: 'open-session', quality: '360p' });
  });
});

describe('no session in the wanted quality', () => {
  test('422 takes the source at once, and shows why', () => {
    const machine = wanting();
    const effects = machine.send(refusal(422, 'umbel.no_such_quality'));
    expect(effects).toMatchObject([{ type: 'open-session', quality: 'source' }]);
    expect(statusLine(machine)).toBe('360p is not available now: no.');
    // A portal that refuses even the source is not pressed.
    for (let n = 0; n < 2; n += 1) machine.send(refusal(422, 'umbel.no_such_quality'));
    expect(machine.state.phase).toBe('backoff');
  });

  test('no capacity is retried twice, then the source is taken', () => {
    const machine = wanting();
    const lastEffect = (): unknown => {
      while (machine.state.phase === 'backoff') machine.advance(250);
      return machine.effects.at(-1);
    };
    for (let n = 0; n < 2; n += 1) {
      machine.send(refusal(503, 'umbel.no_capacity'));
      expect(lastEffect()).toMatchObject({ type: 'open-session', quality: '360p' });
    }
    machine.send(refusal(503, 'umbel.no_capacity'));
    expect(lastEffect()).toMatchObject({ type: 'open-session', quality: 'source' });
  });

  test('an unreachable portal does not change the quality', () => {
    const machine = wanting();
    for (let n = 0; n < 5; n += 1) {
      machine.send(refusal(0, 'umbel.unreachable'));
      while (machine.state.phase === 'backoff') machine.advance(250);
    }
    expect(machine.effects.at(-1)).toMatchObject({ type: 'open-session', quality: '360p' });
  });
});

test('names show the height of the source, where it is known', () => {
  expect([qualityName('source', 720), qualityName('source', 0), qualityName('360p', 720)]).toEqual([
    'Source (720p)',
    'Source',
    '360p',
  ]);
});
