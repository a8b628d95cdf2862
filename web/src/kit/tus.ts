// A small client of tus 1.0.0 (https://tus.io). In: a file. Out: the upload's id when all bytes are there.
// It goes on after a pause, a lost connection or a reload: the address is kept by the file's name, size and date.

import { ApiError, asApiError, errorFrom } from './api';
import { OURS } from './rest';

export const UPLOADS = '/api/v1/uploads';
const PIECE_BYTES = 8 * 1024 * 1024;
const WAITS_MS = [500, 1000, 2000, 4000, 8000];
const VERSION = { 'Tus-Resumable': '1.0.0' };

export interface UploadOptions {
  providerId: string;
  fetch: typeof fetch;
  store: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
  wait: (ms: number) => Promise<void>;
  /** Ends it; what came is kept, and the next `upload` goes on there. */
  signal: AbortSignal;
  onProgress: (sent: number) => void;
  pieceBytes?: number;
}

type Source = Pick<File, 'name' | 'size' | 'lastModified' | 'slice'>;

/** What the browser remembers an upload by. */
export function fingerprintOf(file: Source, providerId: string): string {
  return `umbel.upload ${providerId} ${file.name} ${String(file.size)} ${String(file.lastModified)}`;
}

/** Base64 of the UTF-8 of a text, as Upload-Metadata has it. */
export function encoded(text: string): string {
  return btoa(String.fromCodePoint(...new TextEncoder().encode(text)));
}

/** Whether another attempt may help: no answer, a server that is busy, or an offset that is not ours any more. */
function isPassing({ status }: ApiError): boolean {
  return status === 0 || status === 409 || status === 423 || status === 429 || status === 503;
}

/** Sends the file, from where an attempt before stopped. Its id; throws an ApiError. */
export async function upload(file: Source, options: UploadOptions): Promise<string> {
  const { store, signal, onProgress, pieceBytes = PIECE_BYTES } = options;
  const fingerprint = fingerprintOf(file, options.providerId);

  async function ask(method: string, path: string, headers: Record<string, string>, body?: Blob): Promise<Response> {
    const init: RequestInit = { method, headers: { ...OURS, ...VERSION, ...headers }, signal };
    if (body) init.body = body;
    const response = await options.fetch(path, init).catch((error: unknown) => {
      throw asApiError(error);
    });
    if (!response.ok) throw await errorFrom(response, Date.now());
    return response;
  }

  async function create(): Promise<string> {
    const query = new URLSearchParams({ provider_id: options.providerId });
    const response = await ask('POST', `${UPLOADS}?${query.toString()}`, {
      'Upload-Length': String(file.size),
      'Upload-Metadata': `filename ${encoded(file.name)}`,
    });
    const path = new URL(response.headers.get('Location') ?? '', 'http://portal').pathname;
    store.setItem(fingerprint, path);
    return path;
  }

  /** Where the server is; null when it does not know the upload any more. */
  async function offsetOf(path: string): Promise<number | null> {
    try {
      return Number((await ask('HEAD', path, {})).headers.get('Upload-Offset'));
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 410)) return null;
      throw error;
    }
  }

  async function send(): Promise<string> {
    let path = store.getItem(fingerprint) ?? (await create());
    let offset = await offsetOf(path);
    if (offset === null) {
      path = await create();
      offset = 0;
    }
    onProgress(offset);
    while (offset < file.size) {
      const response = await ask(
        'PATCH',
        path,
        { 'Content-Type': 'application/offset+octet-stream', 'Upload-Offset': String(offset) },
        file.slice(offset, offset + pieceBytes),
      );
      offset = Number(response.headers.get('Upload-Offset'));
      failures = 0;
      onProgress(offset);
    }
    store.removeItem(fingerprint);
    return path.slice(path.lastIndexOf('/') + 1);
  }

  let failures = 0;
  for (;;) {
    try {
      return await send();
    } catch (error) {
      const known = asApiError(error);
      const waitMs = WAITS_MS[failures];
      failures += 1;
      if (signal.aborted || waitMs === undefined || !isPassing(known) || known.code.includes('quota')) throw known;
      await options.wait(waitMs);
    }
  }
}
