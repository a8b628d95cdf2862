import { expect, describe as suite, test } from 'vitest';

import { live, lost, playing, refusal, session } from './drive';
import { LIMITS } from './model';
import { backoffMs } from './moves';
import { describe } from './words';

suite('losing the edge', () => {
  test('no pictures are doubted soon and said at 1.5 s', () => {
    const drive = playing();
    expect(drive.pass(LIMITS.doubtMs - 250)).toEqual([]);
    expect(drive.pass(250).map((e) => e.type)).toEqual(['probe']);
    expect(drive.pass(500)).toEqual([]);
    expect(describe(drive.state).text).toBe('Live');
    expect(drive.pass(250).map((e) => e.type)).toEqual(['probe']);
    expect(drive.state.phase).toBe('stalled');
  });

  test('a doubt is forgotten when pictures come before its answer', () => {
    const drive = playing('whep');
    drive.pass(LIMITS.doubtMs);
    drive.pass(250, 7);
    expect(drive.tell({ type: 'probed', alive: false, seen: null })).toEqual([]);
    expect(drive.state.phase).toBe('playing');
  });

  test('a dead edge is left at once', () => {
    const drive = playing();
    drive.pass(LIMITS.doubtMs);
    const effects = drive.tell({ type: 'probed', alive: false, seen: null });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session', 'open-session']);
    expect(describe(drive.state).text).toBe('Edge lost, reconnecting');
  });

  test('counts its attempts and is back at the first picture', () => {
    const drive = playing();
    drive.tell(lost('ice'));
    drive.tell(refusal(503));
    drive.pass(500);
    expect(drive.state).toMatchObject({ phase: 'asking', attempt: 2 });
    expect(describe(drive.state).text).toBe('Edge lost, reconnecting (2)');
    drive.tell({ type: 'opened', session: session('s2', 'pe3') });
    expect(describe(drive.state).text).toBe('Reconnecting to pe3 by WebRTC (2)');
    drive.tell({ type: 'linked' });
    drive.tell({ type: 'progress', value: 3 });
    expect(drive.state.phase).toBe('playing');
    drive.pass(LIMITS.steadyMs - 250, 7);
    expect(drive.state.attempt).toBe(2);
    drive.pass(500, 7);
    expect(drive.state.attempt).toBe(0);
  });

  test('is back within 5 s when the portal says 503 with Retry-After: 2 once', () => {
    const drive = playing();
    const killedMs = drive.nowMs;
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: false, seen: null });
    drive.tell(refusal(503, 'umbel.unavailable', 2));
    while (drive.state.phase === 'backoff') drive.pass(250);
    drive.tell({ type: 'opened', session: session('s2') });
    drive.tell({ type: 'linked' });
    drive.tell({ type: 'progress', value: 1 });
    expect(drive.state.phase).toBe('playing');
    expect(drive.nowMs - killedMs).toBeLessThanOrEqual(4_500);
  });

  test('a new session on the same dead edge does not spin', () => {
    const drive = playing();
    drive.tell(lost('ice'));
    for (let n = 0; n < 50; n += 1) {
      if (drive.state.phase === 'asking') drive.tell({ type: 'opened', session: session(`s${String(n)}`) });
      if (drive.state.phase === 'connecting') drive.tell(lost('unreachable'));
      drive.pass(250);
    }
    const asked = drive.types().filter((t) => t === 'open-session').length;
    expect(asked).toBeGreaterThan(4);
    expect(asked).toBeLessThan(10);
  });

  test('never gives up while the event goes on', () => {
    const drive = playing();
    drive.tell(lost('ice'));
    let asked = 0;
    for (let n = 0; n < 4 * 3600; n += 1) {
      if (drive.state.phase === 'asking') {
        asked += 1;
        drive.tell(refusal(0, 'umbel.unreachable'));
      }
      drive.pass(250);
    }
    expect(asked).toBeGreaterThan(3600 / (LIMITS.backoffMaxMs / 1000));
    expect(drive.state.phase).toMatch(/asking|backoff/);
  });

  test('a change at the portal shortens the wait, spread over viewers', () => {
    const drive = playing();
    drive.tell(lost('ice'));
    drive.tell(refusal(503, 'umbel.no_capacity', 30));
    drive.pass(1000);
    expect(drive.state.phase).toBe('backoff');
    drive.tell({ type: 'hint' });
    expect(drive.state.phase).toBe('backoff');
    drive.pass(LIMITS.hintSpreadMs + 100);
    expect(drive.state.phase).toBe('asking');
  });

  test('an edge that answers but sends nothing is left after a while', () => {
    const drive = playing();
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: true, seen: live });
    expect(drive.state.phase).toBe('stalled');
    const effects = drive.pass(LIMITS.stallMaxMs);
    expect(effects.map((e) => e.type)).toContain('open-session');
  });

  test('a stall that passes by itself costs nothing', () => {
    const drive = playing();
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: true, seen: live });
    drive.pass(250, 7);
    expect(drive.state.phase).toBe('playing');
    expect(new Set(drive.types())).toEqual(new Set(['probe']));
  });

  test('a shaky transport is asked about while it goes on playing', () => {
    const drive = playing('hls');
    expect(drive.tell({ type: 'shaky' }).map((e) => e.type)).toEqual(['probe']);
    expect(drive.state.phase).toBe('playing');
    drive.tell({ type: 'probed', alive: false, seen: null });
    expect(drive.state.phase).toBe('asking');
  });

  test('an answer to a given-up attempt changes nothing', () => {
    const drive = playing();
    const { epoch } = drive.state;
    drive.tell(lost('ice'));
    const before = drive.state;
    drive.raw({ type: 'progress', epoch, value: 999 });
    drive.raw({ type: 'lost', epoch, reason: 'ice', message: '', retryAfterS: null });
    drive.raw({ type: 'probed', epoch, alive: false, seen: null });
    expect(drive.state).toBe(before);
  });
});

suite('back-off', () => {
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
