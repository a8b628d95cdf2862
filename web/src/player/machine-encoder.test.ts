import { describe, expect, test } from 'vitest';

import { eventInfo, live, MachineHarness, playing, refusal, session } from './machine-harness';
import { LIMITS } from './model';
import { statusOf } from './status';

describe('the encoder and the event', () => {
  test('an encoder that is away is waited for on the same connection', () => {
    const machine = playing();
    machine.advance(1500);
    machine.send({ type: 'probed', alive: true, info: eventInfo('live', false) });
    expect(statusOf(machine.state).text).toBe('Waiting for the encoder');
    const effects = machine.advance(60_000);
    expect(new Set(effects.map((e) => e.type))).toEqual(new Set(['probe']));
    machine.advance(250, 7);
    expect(machine.state.phase).toBe('playing');
  });

  test('an encoder that is back but not to be seen here leads to a new session', () => {
    const machine = playing();
    machine.advance(1500);
    machine.send({ type: 'probed', alive: true, info: eventInfo('live', false) });
    machine.send({ type: 'event-changed', info: live });
    expect(machine.state.phase).toBe('stalled');
    expect(machine.advance(LIMITS.stallMaxMs).map((e) => e.type)).toContain('open-session');
  });

  test('the edge can die while the encoder is away', () => {
    const machine = playing();
    machine.advance(1500);
    machine.send({ type: 'probed', alive: true, info: eventInfo('live', false) });
    machine.send({ type: 'probed', alive: false, info: null });
    expect(machine.state.phase).toBe('opening');
    expect(statusOf(machine.state).text).toBe('Waiting for the encoder');
  });

  test('an open event without a stream connects, then waits', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'start' });
    machine.send({ type: 'opened', session: session('s1') });
    machine.send({ type: 'linked' });
    machine.advance(LIMITS.firstPictureMs);
    expect(machine.effects.at(-1)).toMatchObject({ type: 'probe' });
    machine.send({ type: 'probed', alive: true, info: eventInfo('open', false) });
    expect(machine.state.phase).toBe('waiting');
  });

  test('a scheduled event is waited for and goes live by itself', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'event-changed', info: eventInfo('scheduled', null) });
    machine.send({ type: 'start' });
    expect(machine.effects).toEqual([]);
    expect(machine.state.phase).toBe('early');
    expect(machine.advance(LIMITS.earlyPollMs).map((e) => e.type)).toEqual(['fetch-event']);
    machine.send({ type: 'event-changed', info: eventInfo('open', false) });
    expect(machine.state.phase).toBe('opening');
  });

  test('409 event_not_open looks at the event to learn why', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'start' });
    machine.send(refusal(409, 'umbel.event_not_open'));
    expect(machine.effects.at(-1)).toEqual({ type: 'fetch-event' });
    machine.send({ type: 'event-changed', info: eventInfo('ended', null) });
    expect(statusOf(machine.state).text).toBe('This event has ended');
  });

  test('404 is final', () => {
    const machine = new MachineHarness();
    machine.send({ type: 'start' });
    machine.send(refusal(404, 'umbel.not_found'));
    expect(machine.advance(600_000).map((e) => e.type)).toEqual([]);
    expect(machine.state.phase).toBe('missing');
  });

  test.each(['ended', 'cancelled'] as const)('%s while playing lets go of everything', (state) => {
    const machine = playing();
    const effects = machine.send({ type: 'event-changed', info: eventInfo(state, false) });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session']);
    expect(machine.state).toMatchObject({ phase: 'over', session: null });
  });
});
