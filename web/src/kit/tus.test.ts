import { describe, expect, it } from 'vitest';

import { encoded, fingerprintOf, type UploadOptions, upload } from './tus';

/** A server of tus that keeps one upload, and fails when a test wants it to. */
function server() {
  const seen = { bytes: 0, length: 0, made: 0, fails: [] as number[], log: [] as string[] };
  const answer = (status: number, headers: Record<string, string> = {}): Response =>
    new Response(status === 204 || status === 201 ? null : '', { status, headers });
  const fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const headers = new Headers(init?.headers);
    const method = init?.method ?? 'GET';
    seen.log.push(method);
    const status = method === 'PATCH' ? seen.fails.shift() : undefined;
    if (status === 0) throw new TypeError('network');
    if (status !== undefined) return answer(status);
    if (method === 'POST') {
      seen.made += 1;
      seen.bytes = 0;
      seen.length = Number(headers.get('Upload-Length'));
      return answer(201, { Location: '/api/v1/uploads/item_1' });
    }
    if (seen.made === 0) return answer(404);
    if (method === 'PATCH') {
      if (Number(headers.get('Upload-Offset')) !== seen.bytes) return answer(409);
      seen.bytes += init?.body instanceof Blob ? init.body.size : 0;
    }
    await Promise.resolve(input);
    return answer(method === 'HEAD' ? 200 : 204, { 'Upload-Offset': String(seen.bytes) });
  };
  return { seen, fetch };
}

const FILE = new File([new Uint8Array(25)], 'Rät.mp4', { lastModified: 7 });

function optionsOf(fetch: UploadOptions['fetch'], more: Partial<UploadOptions> = {}): UploadOptions {
  const kept = new Map<string, string>();
  return {
    providerId: 'pr_1',
    fetch,
    store: {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    },
    wait: () => Promise.resolve(),
    signal: new AbortController().signal,
    onProgress: () => undefined,
    pieceBytes: 10,
    ...more,
  };
}

describe('upload', () => {
  it('sends a file in pieces and forgets it then', async () => {
    const { seen, fetch } = server();
    const progress: number[] = [];
    const options = optionsOf(fetch, { onProgress: (sent) => progress.push(sent) });
    expect(await upload(FILE, options)).toBe('item_1');
    expect([seen.bytes, seen.length, progress]).toEqual([25, 25, [0, 10, 20, 25]]);
    expect(options.store.getItem(fingerprintOf(FILE, 'pr_1'))).toBeNull();
  });

  it('goes on where the server is after lost connections and refusals', async () => {
    const { seen, fetch } = server();
    seen.fails = [0, 503];
    await upload(FILE, optionsOf(fetch));
    expect([seen.bytes, seen.made]).toEqual([25, 1]);
  });

  it('goes on after a pause, and begins again when the upload has expired', async () => {
    const { seen, fetch } = server();
    const stop = new AbortController();
    const options = optionsOf(fetch, { signal: stop.signal });
    seen.fails = [413];
    await expect(upload(FILE, options)).rejects.toMatchObject({ status: 413 });
    await upload(FILE, options);
    expect(seen.made).toBe(1);
    options.store.setItem(fingerprintOf(FILE, 'pr_1'), '/api/v1/uploads/item_0');
    seen.made = 0;
    await upload(FILE, options);
    expect([seen.made, seen.bytes]).toEqual([1, 25]);
  });

  it('gives up after some failures in a row', async () => {
    const { seen, fetch } = server();
    seen.fails = [503, 503, 503, 503, 503, 503];
    await expect(upload(FILE, optionsOf(fetch))).rejects.toMatchObject({ status: 503 });
  });

  it('names files in any language', () => {
    expect(encoded('Rät')).toBe('UsOkdA==');
  });
});
