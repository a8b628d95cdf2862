import { describe, expect, test, vi } from 'vitest';

import { recovery } from './recovery';

function playing(currentTime: number) {
  const player = { config: { startPosition: 3 }, loadSource: vi.fn(), recoverMediaError: vi.fn() };
  const onEnd = vi.fn();
  const source = { url: '/replay/token/media.m3u8', startS: 3 };
  // biome-ignore lint/suspicious/noExplicitAny: of hls.js, only what is called is there
  const recover = recovery({ player: player as any, element: { currentTime }, ...source, onEnd });
  return { player, onEnd, recover };
}

describe('a piece that does not come', () => {
  test.each(['fragLoadError', 'fragLoadTimeOut'])('%s: the front end has it, from where one is', (details) => {
    const { player, onEnd, recover } = playing(42.5);
    recover({ type: 'networkError', details, fatal: false });
    expect(player.loadSource.mock.calls).toEqual([['/replay/token/media.m3u8?direct=true']]);
    expect(player.config.startPosition).toBe(42.5);
    recover({ type: 'networkError', details, fatal: false });
    expect(player.loadSource).toHaveBeenCalledTimes(1);
    expect(onEnd).not.toHaveBeenCalled();
    recover({ type: 'networkError', details, fatal: true });
    expect(onEnd).toHaveBeenCalledTimes(1);
  });

  test('before anything was played it begins where it was to begin', () => {
    const { player, recover } = playing(0);
    recover({ type: 'networkError', details: 'fragLoadError', fatal: true });
    expect(player.config.startPosition).toBe(3);
  });
});

test.each([
  [403, true],
  [503, false],
])('an answer of %s', (code, forbidden) => {
  const { onEnd, recover } = playing(1);
  recover({ type: 'networkError', details: 'manifestLoadError', fatal: true, response: { code } });
  expect(onEnd.mock.calls).toEqual([[forbidden]]);
});

test('the decoder is restarted once', () => {
  const { player, onEnd, recover } = playing(1);
  const broken = { type: 'mediaError', details: 'bufferAppendError', fatal: true };
  recover({ ...broken, fatal: false });
  expect(player.recoverMediaError).not.toHaveBeenCalled();
  recover(broken);
  expect(player.recoverMediaError).toHaveBeenCalledTimes(1);
  recover(broken);
  expect(onEnd).toHaveBeenCalledTimes(1);
});
