// A browser whose WebRTC has no H.264, at an event that has a VP8 picture.

import { describe, expect, test } from 'vitest';

import { dependsOnEvent } from './codecs';
import { eventInfo, lost, MachineHarness, refusal, session } from './machine-harness';
import { type Choice, initial } from './model';
import { choosable, shownQuality } from './quality';
import { qualityName } from './quality-names';
import { qualityStatus } from './status';

const WITH_VP8 = eventInfo('live', true, ['source', '360p', 'vp8']);
const WITHOUT = eventInfo('live', true, ['source', '360p']);

interface Browser {
  choice?: Choice;
  h264?: boolean;
  quality?: string;
}

/** A machine of a browser that has VP8; by default it has no H.264. */
function watching(event = WITH_VP8, { choice = 'auto', h264 = false, quality = 'source' }: Browser = {}) {
  const machine = new MachineHarness();
  machine.state = initial(choice, h264, quality, true);
  machine.send({ type: 'event-changed', info: event });
  machine.send({ type: 'start' });
  return machine;
}

function playing(event = WITH_VP8, browser: Browser = {}) {
  const machine = watching(event, browser);
  const opened = machine.effects.at(-1);
  machine.send({
    type: 'opened',
    session: session('s1', 'pe4', opened?.type === 'open-session' ? opened.quality : ''),
  });
  machine.send({ type: 'linked' });
  machine.advance(500, 7);
  machine.effects = [];
  return machine;
}

const last = (machine: MachineHarness): unknown => machine.effects.at(-1);

describe('without H.264', () => {
  test('VP8 over WebRTC, where the event has it', () => {
    const machine = watching();
    expect(last(machine)).toMatchObject({ type: 'open-session', quality: 'vp8' });
    machine.send({ type: 'opened', session: session('s1', 'pe4', 'vp8') });
    expect(last(machine)).toMatchObject({ type: 'connect', protocol: 'whep' });
  });

  test.each([
    ['the event has no VP8', WITHOUT, {}, 'source'],
    ['the viewer chose HLS', WITH_VP8, { choice: 'hls' }, 'source'],
    ['the viewer chose a smaller picture', WITH_VP8, { quality: '360p' }, '360p'],
  ] as const)('HLS, where %s', (_why, event, browser, quality) => {
    const machine = watching(event, browser);
    expect(last(machine)).toMatchObject({ type: 'open-session', quality });
    machine.send({ type: 'opened', session: session('s1', 'pe4', quality) });
    expect(last(machine)).toMatchObject({ type: 'connect', protocol: 'hls' });
  });

  test('a refused connection leads to the HLS of the source, by another session', () => {
    for (const reason of ['ice', 'codec'] as const) {
      const machine = watching();
      machine.send({ type: 'opened', session: session('s1', 'pe4', 'vp8') });
      const effects = machine.send(lost(reason));
      expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session', 'open-session']);
      expect(effects[2]).toMatchObject({ quality: 'source' });
      machine.send({ type: 'opened', session: session('s2') });
      expect(last(machine)).toMatchObject({ type: 'connect', protocol: 'hls' });
    }
  });

  test('no session in VP8: the source, without a notice', () => {
    const machine = watching();
    machine.send(refusal(422, 'umbel.no_such_quality'));
    expect(last(machine)).toMatchObject({ type: 'open-session', quality: 'source' });
    expect(qualityStatus(machine.state, 720)).toBe('');
  });

  test.each([
    [503, 'umbel.not_ready', 'source'],
    [503, 'umbel.no_capacity', 'source'],
    [0, 'umbel.unreachable', 'vp8'],
  ])('refused three times with %s, %s: %s', (status, code, quality) => {
    const machine = watching();
    for (let n = 0; n < 3; n += 1) {
      expect(last(machine)).toMatchObject({ type: 'open-session', quality: 'vp8' });
      machine.send(refusal(status, code));
      while (machine.state.phase === 'backoff') machine.advance(250);
    }
    expect(last(machine)).toMatchObject({ type: 'open-session', quality });
  });

  test('a lost path leads to the source also while the stream is not known', () => {
    const machine = watching();
    machine.send({ type: 'opened', session: session('s1', 'pe4', 'vp8') });
    machine.send({ type: 'event-changed', info: eventInfo('open', null) });
    expect(machine.send(lost('ice')).at(-1)).toMatchObject({ type: 'open-session', quality: 'source' });
  });

  test('a smaller picture is HLS, and the source VP8 again', () => {
    const machine = playing();
    expect(machine.send({ type: 'quality', quality: '360p' })).toMatchObject([
      { type: 'hand-over', protocol: 'hls', quality: '360p', left: { quality: 'vp8' } },
    ]);
    machine.send({ type: 'replaced', session: session('s2', 'pe4', '360p') });
    expect(last(machine)).toMatchObject({ type: 'connect', protocol: 'hls' });
    machine.send({ type: 'linked' });
    machine.advance(500, 7);
    expect(machine.send({ type: 'quality', quality: 'source' })).toMatchObject([
      { type: 'hand-over', protocol: 'hls', quality: 'vp8' },
    ]);
    machine.send({ type: 'replaced', session: session('s3', 'pe4', 'vp8') });
    expect(last(machine)).toMatchObject({ type: 'connect', protocol: 'whep' });
    expect(machine.state.quality).toBe('source');
  });

  test('from edge to edge it stays WebRTC', () => {
    expect(playing().send({ type: 'move' })).toMatchObject([{ type: 'hand-over', protocol: 'whep', quality: 'vp8' }]);
  });

  test('HLS is left once the event has VP8; a failure is not repeated', () => {
    const machine = playing(WITHOUT);
    expect(machine.state.protocol).toBe('hls');
    expect(machine.send({ type: 'event-changed', info: WITH_VP8 })).toMatchObject([
      { type: 'hand-over', protocol: 'hls', quality: 'vp8' },
    ]);
    expect(qualityStatus(machine.state, 720)).toBe('Switching to VP8');
    machine.send({ type: 'not-moved', quality: 'vp8', message: 'No edge has room.' });
    expect(machine.send({ type: 'event-changed', info: WITH_VP8 })).toEqual([]);
    expect(qualityStatus(machine.state, 720)).toBe('');
  });

  test('what plays is not given up while the encoder is away', () => {
    const machine = playing();
    expect(machine.send({ type: 'event-changed', info: eventInfo('live', false, ['source']) })).toEqual([]);
    expect(machine.send({ type: 'event-changed', info: eventInfo('open', null) })).toEqual([]);
  });

  test('HLS by choice, and back', () => {
    const machine = playing();
    expect(machine.send({ type: 'choose', choice: 'hls' }).at(-1)).toMatchObject({ quality: 'source' });
    machine.send({ type: 'opened', session: session('s2') });
    expect(last(machine)).toMatchObject({ type: 'connect', protocol: 'hls' });
    expect(machine.send({ type: 'choose', choice: 'auto' }).at(-1)).toMatchObject({ quality: 'vp8' });
  });

  test('the choice of qualities shows the source', () => {
    const { state } = playing();
    expect(choosable(state)).toEqual(['source', '360p']);
    expect(shownQuality(state)).toBe('source');
    expect(qualityName('vp8', 720)).toBe('VP8');
  });
});

describe('with H.264', () => {
  test('VP8 is not taken, nor shown', () => {
    const machine = watching(WITH_VP8, { h264: true });
    expect(last(machine)).toMatchObject({ type: 'open-session', quality: 'source' });
    expect(choosable(machine.state)).toEqual(['source', '360p']);
  });

  test('unless the address asks for it', () => {
    const machine = watching(WITH_VP8, { h264: true, quality: 'vp8' });
    expect(last(machine)).toMatchObject({ type: 'open-session', quality: 'vp8' });
    expect(choosable(machine.state)).toContain('vp8');
  });

  test('that turns out to be missing, VP8 follows', () => {
    const machine = watching(WITH_VP8, { h264: true });
    machine.send({ type: 'opened', session: session('s1') });
    expect(machine.send(lost('codec')).at(-1)).toMatchObject({ type: 'open-session', quality: 'vp8' });
  });
});

test('only the event tells which session a browser without H.264 opens', () => {
  const plain = { node: null, choice: 'auto', quality: 'source' } as const;
  const firefox = { h264: false, vp8: true };
  expect(dependsOnEvent(plain, firefox)).toBe(true);
  expect(dependsOnEvent(plain, { h264: true, vp8: true })).toBe(false);
  expect(dependsOnEvent(plain, { h264: false, vp8: false })).toBe(false);
  expect(dependsOnEvent({ ...plain, choice: 'hls' }, firefox)).toBe(false);
  expect(dependsOnEvent({ ...plain, quality: '360p' }, firefox)).toBe(false);
});
