import { describe, expect, test } from 'vitest';

import { live, lost, playing, refusal, session } from './machine-harness';
import { LIMITS } from './model';
import { statusOf } from './status';
import { backoffMs } from './transitions';

describe('losing the edge', () => {
  test('missing pictures are probed early and shown after 1.5 s', () => {
    const machine = playing();
    expect(machine.advance(LIMITS.doubtMs - 250)).toEqual([]);
    expect(machine.advance(250).map((e) => e.type)).toEqual(['probe']);
    expect(machine.advance(500)).toEqual([]);
    expect(statusOf(machine.state).text).toBe('Live');
    expect(machine.advance(250).map((e) => e.type)).toEqual(['probe']);
    expect(machine.state.phase).toBe('stalled');
  });

  test('a doubt is forgotten when pictures come before its answer', () => {
    const machine = playing('whep');
    machine.advance(LIMITS.doubtMs);
    machine.advance(250, 7);
    expect(machine.send({ type: 'probed', alive: false, info: null })).toEqual([]);
    expect(machine.state.phase).toBe('playing');
  });

  test('a dead edge is left at once', () => {
    const machine = playing();
    machine.advance(LIMITS.doubtMs);
    const effects = machine.send({ type: 'probed', alive: false, info: null });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session', 'open-session']);
    expect(statusOf(machine.state).text).toBe('Edge lost, reconnecting');
  });

  test('counts its attempts and is back at the first picture', () => {
    const machine = playing();
    machine.send(lost('ice'));
    machine.send(refusal(503));
    machine.advance(500);
    expect(machine.state).toMatchObject({ phase: 'opening', attempt: 2 });
    expect(statusOf(machine.state).text).toBe('Edge lost, reconnecting (2)');
    machine.send({ type: 'opened', session: session('s2', 'pe3') });
    expect(statusOf(machine.state).text).toBe('Reconnecting to pe3 over WebRTC (2)');
    machine.send({ type: 'linked' });
    machine.send({ type: 'progress', value: 3 });
    expect(machine.state.phase).toBe('playing');
    machine.advance(LIMITS.steadyMs - 250, 7);
    expect(machine.state.attempt).toBe(2);
    machine.advance(500, 7);
    expect(machine.state.attempt).toBe(0);
  });

  test('is back within 5 s when the portal answers 503 with Retry-After: 2 once', () => {
    const machine = playing();
    const killedMs = machine.nowMs;
    machine.advance(1500);
    machine.send({ type: 'probed', alive: false, info: null });
    machine.send(refusal(503, 'umbel.unavailable', 2));
    while (machine.state.phase === 'backoff') machine.advance(250);
    machine.send({ type: 'opened', session: session('s2') });
    machine.send({ type: 'linked' });
    machine.send({ type: 'progress', value: 1 });
    expect(machine.state.phase).toBe('playing');
    expect(machine.nowMs - killedMs).toBeLessThanOrEqual(4_500);
  });

  test('a new session on the same dead edge does not spin', () => {
    const machine = playing();
    machine.send(lost('ice'));
    for (let n = 0; n < 50; n += 1) {
      if (machine.state.phase === 'opening') machine.send({ type: 'opened', session: session(`s${String(n)}`) });
      if (machine.state.phase === 'connecting') machine.send(lost('unreachable'));
      machine.advance(250);
    }
    const opened = machine.types().filter((t) => t === 'open-session').length;
    expect(opened).toBeGreaterThan(4);
    expect(opened).toBeLessThan(10);
  });

  test('never gives up while the event goes on', () => {
    const machine = playing();
    machine.send(lost('ice'));
    let opened = 0;
    for (let n = 0; n < 4 * 3600; n += 1) {
      if (machine.state.phase === 'opening') {
        opened += 1;
        machine.send(refusal(0, 'umbel.unreachable'));
      }
      machine.advance(250);
    }
    expect(opened).toBeGreaterThan(3600 / (LIMITS.backoffMaxMs / 1000));
    expect(machine.state.phase).toMatch(/opening|backoff/);
  });

  test('a change at the portal shortens the wait, spread over viewers', () => {
    const machine = playing();
    machine.send(lost('ice'));
    machine.send(refusal(503, 'umbel.no_capacity', 30));
    machine.advance(1000);
    expect(machine.state.phase).toBe('backoff');
    machine.send({ type: 'hint' });
    expect(machine.state.phase).toBe('backoff');
    machine.advance(LIMITS.hintSpreadMs + 100);
    expect(machine.state.phase).toBe('opening');
  });

  test('an edge that answers but sends nothing is left after a while', () => {
    const machine = playing();
    machine.advance(1500);
    machine.send({ type: 'probed', alive: true, info: live });
    expect(machine.state.phase).toBe('stalled');
    const effects = machine.advance(LIMITS.stallMaxMs);
    expect(effects.map((e) => e.type)).toContain('open-session');
  });

  test('a stall that passes by itself costs nothing', () => {
    const machine = playing();
    machine.advance(1500);
    machine.send({ type: 'probed', alive: true, info: live });
    machine.advance(250, 7);
    expect(machine.state.phase).toBe('playing');
    expect(new Set(machine.types())).toEqual(new Set(['probe']));
  });

  test('a shaky transport is probed while it plays on', () => {
    const machine = playing('hls');
    expect(machine.send({ type: 'shaky' }).map((e) => e.type)).toEqual(['probe']);
    expect(machine.state.phase).toBe('playing');
    machine.send({ type: 'probed', alive: false, info: null });
    expect(machine.state.phase).toBe('opening');
  });

  test('an answer to a given-up attempt changes nothing', () => {
    const machine = playing();
    const { epoch } = machine.state;
    machine.send(lost('ice'));
    const before = machine.state;
    machine.sendRaw({ type: 'progress', epoch, value: 999 });
    machine.sendRaw({ type: 'lost', epoch, reason: 'ice', message: '', retryAfterS: null });
    machine.sendRaw({ type: 'probed', epoch, alive: false, info: null });
    expect(machine.state).toBe(before);
  });
});

describe('back-off', () => {
  test('is at once, then doubles up to the limit', () => {
    expect([0, 1, 2, 3].map((n) => backoffMs(n, 1, null))).toEqual([0, 250, 500, 1000]);
    expect(backoffMs(40, 1, null)).toBe(LIMITS.backoffMaxMs);
  });

  test('is spread', () => {
    expect(backoffMs(3, 0, null)).toBe(500);
  });

  test('is never shorter than the server asks', () => {
    for (const random of [0, 0.3, 0.99]) expect(backoffMs(0, random, 2)).toBeGreaterThanOrEqual(2000);
  });
});
