import { expect, describe as suite, test } from 'vitest';

import { Drive, live, playing, refusal, seen, session } from './drive';
import { LIMITS } from './model';
import { describe } from './words';

suite('the encoder and the event', () => {
  test('an encoder that is away is waited for on the same connection', () => {
    const drive = playing();
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: true, seen: seen('live', false) });
    expect(describe(drive.state).text).toBe('The encoder is away; waiting');
    const effects = drive.pass(60_000);
    expect(new Set(effects.map((e) => e.type))).toEqual(new Set(['probe']));
    drive.pass(250, 7);
    expect(drive.state.phase).toBe('playing');
  });

  test('an encoder that is back but not to be seen here leads to a new session', () => {
    const drive = playing();
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: true, seen: seen('live', false) });
    drive.tell({ type: 'seen', seen: live });
    expect(drive.state.phase).toBe('stalled');
    expect(drive.pass(LIMITS.stallMaxMs).map((e) => e.type)).toContain('open-session');
  });

  test('the edge can die while the encoder is away', () => {
    const drive = playing();
    drive.pass(1500);
    drive.tell({ type: 'probed', alive: true, seen: seen('live', false) });
    drive.tell({ type: 'probed', alive: false, seen: null });
    expect(drive.state.phase).toBe('asking');
    expect(describe(drive.state).text).toBe('The encoder is away; waiting');
  });

  test('an open event without a stream connects, then waits', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell({ type: 'opened', session: session('s1') });
    drive.tell({ type: 'linked' });
    drive.pass(LIMITS.firstPictureMs);
    expect(drive.effects.at(-1)).toMatchObject({ type: 'probe' });
    drive.tell({ type: 'probed', alive: true, seen: seen('open', false) });
    expect(drive.state.phase).toBe('waiting');
  });

  test('a scheduled event is waited for and goes live by itself', () => {
    const drive = new Drive();
    drive.tell({ type: 'seen', seen: seen('scheduled', null) });
    drive.tell({ type: 'start' });
    expect(drive.effects).toEqual([]);
    expect(drive.state.phase).toBe('early');
    expect(drive.pass(LIMITS.earlyLookEveryMs).map((e) => e.type)).toEqual(['look']);
    drive.tell({ type: 'seen', seen: seen('open', false) });
    expect(drive.state.phase).toBe('asking');
  });

  test('409 event_not_open looks at the event to learn why', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell(refusal(409, 'umbel.event_not_open'));
    expect(drive.effects.at(-1)).toEqual({ type: 'look' });
    drive.tell({ type: 'seen', seen: seen('ended', null) });
    expect(describe(drive.state).text).toBe('This event has ended');
  });

  test('404 is final', () => {
    const drive = new Drive();
    drive.tell({ type: 'start' });
    drive.tell(refusal(404, 'umbel.not_found'));
    expect(drive.pass(600_000).map((e) => e.type)).toEqual([]);
    expect(drive.state.phase).toBe('missing');
  });

  test.each(['ended', 'cancelled'] as const)('%s while playing lets go of everything', (state) => {
    const drive = playing();
    const effects = drive.tell({ type: 'seen', seen: seen(state, false) });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session']);
    expect(drive.state).toMatchObject({ phase: 'over', session: null });
  });
});
