import { expect, describe as suite, test } from 'vitest';

import { Drive, lost, playing, refusal, seen, session } from './drive';
import { type Choice, LIMITS } from './model';
import { qualityName, shownQuality } from './quality';
import { describeQuality } from './words';

const ALL = ['source', '720p', '360p'];
const offering = seen('live', true, ALL);
const plain = seen('live', true, ['source']);

/** Plays the source of an event that offers lower qualities. */
const choosing = (choice: Choice = 'auto'): Drive => playing(choice, offering);

const isTold = (drive: Drive): string => describeQuality(drive.state, 1080);

/** An event that is watched by an address with `?quality=360p`. */
function wanting(event = offering): Drive {
  const drive = new Drive('auto', true, '360p');
  drive.tell({ type: 'seen', seen: event });
  drive.tell({ type: 'start' });
  return drive;
}

suite('what a session is asked for', () => {
  test('the wanted quality, where it is on offer', () => {
    expect(wanting().effects).toMatchObject([{ type: 'open-session', quality: '360p' }]);
  });

  test.each([
    ['not on offer', plain],
    ['of a portal that knows none', seen('live', true)],
  ])('the source, where the wanted one is %s', (_what, event) => {
    const drive = wanting(event);
    expect(drive.effects).toMatchObject([{ type: 'open-session', quality: 'source' }]);
    expect(isTold(drive)).toBe('');
  });

  test('the same again when the edge is lost', () => {
    const drive = wanting();
    drive.tell({ type: 'opened', session: session('s1', 'pe4', '360p') });
    drive.tell(lost('unreachable'));
    expect(drive.effects.at(-1)).toMatchObject({ type: 'open-session', quality: '360p' });
  });

  test('the source when the edge is lost and the quality is gone, and the wanted one once it is back', () => {
    const drive = wanting();
    drive.tell({ type: 'opened', session: session('s1', 'pe4', '360p') });
    drive.tell({ type: 'linked' });
    drive.pass(500, 7);
    // What plays is not given up for what is not on offer any more.
    expect(drive.tell({ type: 'seen', seen: plain })).toEqual([]);
    expect(shownQuality(drive.state)).toBe('360p');
    drive.tell(lost('unreachable'));
    expect(drive.effects.at(-1)).toMatchObject({ type: 'open-session', quality: 'source' });
    drive.tell({ type: 'opened', session: session('s2') });
    drive.tell({ type: 'linked' });
    drive.pass(500, 7);
    expect(shownQuality(drive.state)).toBe('source');
    expect(drive.tell({ type: 'seen', seen: offering })).toMatchObject([{ type: 'hand-over', quality: '360p' }]);
  });
});

suite('choosing while it plays', () => {
  test.each(['whep', 'hls'] as const)('by %s plays on until the new one is there', (protocol) => {
    const drive = choosing(protocol);
    const { epoch } = drive.state;
    const effects = drive.tell({ type: 'quality', quality: '360p' });
    expect(effects).toMatchObject([{ type: 'hand-over', epoch, protocol, quality: '360p', left: { id: 's1' } }]);
    expect(drive.state.phase).toBe('playing');
    expect(isTold(drive)).toBe('Changing to 360p');
    expect(shownQuality(drive.state)).toBe('360p');
  });

  test('by WebRTC nothing is to be seen of the change', () => {
    const drive = choosing();
    drive.tell({ type: 'quality', quality: '360p' });
    const effects = drive.tell({ type: 'moved', session: session('s2', 'pe4', '360p') });
    expect(effects).toMatchObject([{ type: 'close-session', session: { id: 's1' } }]);
    expect(drive.state).toMatchObject({ phase: 'playing', quality: '360p', session: { id: 's2' } });
    expect(isTold(drive)).toBe('');
  });

  test('by HLS it connects anew', () => {
    const drive = choosing('hls');
    drive.tell({ type: 'quality', quality: '360p' });
    const effects = drive.tell({ type: 'replaced', session: session('s2', 'pe4', '360p') });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session', 'connect']);
    expect(drive.state).toMatchObject({ phase: 'connecting', quality: '360p', session: { id: 's2' } });
  });

  test('a failure leaves what plays, with a plain message, and is not repeated', () => {
    const drive = choosing();
    drive.tell({ type: 'quality', quality: '360p' });
    expect(drive.tell({ type: 'not-moved', quality: '360p', message: 'No edge has room' })).toEqual([]);
    expect(drive.state).toMatchObject({ phase: 'playing', quality: 'source', session: { id: 's1' } });
    expect(isTold(drive)).toBe('360p cannot be had just now: No edge has room.');
    expect(drive.tell({ type: 'seen', seen: offering })).toEqual([]);
    drive.tell({ type: 'quality', quality: '720p' });
    expect(isTold(drive)).toBe('Changing to 720p');
  });

  test('the message goes after a while', () => {
    const drive = choosing();
    drive.tell({ type: 'quality', quality: '360p' });
    drive.tell({ type: 'not-moved', quality: '360p', message: 'No edge has room.' });
    drive.pass(LIMITS.noticeMs - 250, 7);
    expect(isTold(drive)).not.toBe('');
    drive.pass(250, 7);
    expect(isTold(drive)).toBe('');
    expect(drive.state.phase).toBe('playing');
  });

  test('a failure to come back to the source says so', () => {
    const drive = choosing();
    drive.tell({ type: 'moved', session: session('s2', 'pe4', '360p') });
    expect(drive.state.quality).toBe('360p');
    drive.tell({ type: 'quality', quality: 'source' });
    drive.tell({ type: 'not-moved', quality: 'source', message: 'No edge has room.' });
    expect(drive.state.quality).toBe('360p');
    expect(isTold(drive)).toBe('The source quality cannot be had just now: No edge has room.');
  });

  test('thinking better of it ends the change', () => {
    const drive = choosing();
    drive.tell({ type: 'quality', quality: '360p' });
    expect(drive.tell({ type: 'quality', quality: 'source' })).toEqual([{ type: 'keep', quality: 'source' }]);
    expect(isTold(drive)).toBe('');
  });

  test('a portal that gives another quality is not asked again and again', () => {
    const drive = choosing();
    drive.tell({ type: 'quality', quality: '360p' });
    drive.tell({ type: 'moved', session: session('s2', 'pe4', 'source') });
    expect(drive.tell({ type: 'seen', seen: offering })).toEqual([]);
    expect(drive.state.quality).toBe('source');
  });

  test('an edge lost meanwhile leads straight to the new quality', () => {
    const drive = choosing();
    drive.tell({ type: 'quality', quality: '360p' });
    drive.tell(lost('unreachable'));
    expect(drive.effects.at(-1)).toMatchObject({ type: 'open-session', quality: '360p' });
  });

  test('another protocol chosen meanwhile takes the new quality along', () => {
    const drive = choosing();
    drive.tell({ type: 'quality', quality: '360p' });
    const effects = drive.tell({ type: 'choose', choice: 'hls' });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session', 'open-session']);
    expect(effects[2]).toMatchObject({ quality: '360p' });
  });

  test('an edge that is to rest is left for the same quality', () => {
    const drive = choosing();
    drive.tell({ type: 'moved', session: session('s2', 'pe4', '360p') });
    expect(drive.tell({ type: 'move' })).toMatchObject([{ type: 'hand-over', quality: '360p' }]);
    expect(isTold(drive)).toBe('');
  });
});

suite('choosing before it plays', () => {
  test('a session that is being opened is asked for anew, and the first given back', () => {
    const drive = new Drive();
    drive.tell({ type: 'seen', seen: offering });
    drive.tell({ type: 'start' });
    const { epoch } = drive.state;
    expect(drive.tell({ type: 'quality', quality: '360p' })).toMatchObject([{ type: 'open-session', quality: '360p' }]);
    const late = session('late');
    expect(drive.raw({ type: 'opened', epoch, session: late })).toEqual([{ type: 'close-session', session: late }]);
  });

  test('a connection that is being made is left', () => {
    const drive = wanting();
    drive.tell({ type: 'opened', session: session('s1', 'pe4', '360p') });
    const effects = drive.tell({ type: 'quality', quality: 'source' });
    expect(effects.map((e) => e.type)).toEqual(['disconnect', 'close-session', 'open-session']);
    expect(effects[2]).toMatchObject({ quality: 'source' });
  });

  test('a wait for the next attempt goes on', () => {
    const drive = choosing();
    drive.tell(lost('ice'));
    drive.tell(refusal(503));
    expect(drive.state.phase).toBe('backoff');
    expect(drive.tell({ type: 'quality', quality: '360p' })).toEqual([]);
    drive.pass(1000);
    expect(drive.effects.at(-1)).toMatchObject({ type: 'open-session', quality: '360p' });
  });
});

suite('no session in the wanted quality', () => {
  test('422 takes the source at once, and says so', () => {
    const drive = wanting();
    const effects = drive.tell(refusal(422, 'umbel.no_such_quality'));
    expect(effects).toMatchObject([{ type: 'open-session', quality: 'source' }]);
    expect(isTold(drive)).toBe('360p cannot be had just now: no.');
    // A portal that refuses even the source is not pressed.
    for (let n = 0; n < 2; n += 1) drive.tell(refusal(422, 'umbel.no_such_quality'));
    expect(drive.state.phase).toBe('backoff');
  });

  test('no room is borne twice, then the source is better than nothing', () => {
    const drive = wanting();
    const asked = (): unknown => {
      while (drive.state.phase === 'backoff') drive.pass(250);
      return drive.effects.at(-1);
    };
    for (let n = 0; n < 2; n += 1) {
      drive.tell(refusal(503, 'umbel.no_capacity'));
      expect(asked()).toMatchObject({ type: 'open-session', quality: '360p' });
    }
    drive.tell(refusal(503, 'umbel.no_capacity'));
    expect(asked()).toMatchObject({ type: 'open-session', quality: 'source' });
  });

  test('a portal that is not there says nothing of the quality', () => {
    const drive = wanting();
    for (let n = 0; n < 5; n += 1) {
      drive.tell(refusal(0, 'umbel.unreachable'));
      while (drive.state.phase === 'backoff') drive.pass(250);
    }
    expect(drive.effects.at(-1)).toMatchObject({ type: 'open-session', quality: '360p' });
  });
});

test('names tell the height of the source, where it is known', () => {
  expect([qualityName('source', 720), qualityName('source', 0), qualityName('360p', 720)]).toEqual([
    'Source (720p)',
    'Source',
    '360p',
  ]);
});
