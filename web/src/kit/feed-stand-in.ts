// The portal's stream of changes, for tests.

/** A connection to the portal, in the place of the browser's `fetch`; `made` holds all of them. */
export class Source {
  static made: Source[] = [];
  static readonly fetch = (url: string, init: RequestInit): Promise<Response> => new Source(url, init).response;
  isOpen = true;
  readonly headers: Headers;
  readonly response: Promise<Response>;
  private answer: (response: Response) => void = () => undefined;
  private fail: (error: Error) => void = () => undefined;
  private body: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor(
    readonly url: string,
    init: RequestInit,
  ) {
    this.headers = new Headers(init.headers);
    this.response = new Promise((answer, fail) => {
      this.answer = answer;
      this.fail = fail;
    });
    init.signal?.addEventListener('abort', () => {
      this.breaks();
    });
    Source.made.push(this);
  }

  /** Once; again it changes nothing. */
  async opens(): Promise<void> {
    if (this.body !== null) return;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.body = controller;
      },
    });
    this.answer(new Response(body));
    await settled();
  }

  async sends(text: string): Promise<void> {
    this.body?.enqueue(new TextEncoder().encode(text));
    await settled();
  }

  emits(kind: string, subject: string): Promise<void> {
    return this.sends(`id: 1\nevent: ${kind}\ndata: ${JSON.stringify({ kind, subject })}\n\n`);
  }

  async refuses(status: number): Promise<void> {
    this.isOpen = false;
    this.answer(new Response('{}', { status }));
    await settled();
  }

  async ends(): Promise<void> {
    this.isOpen = false;
    this.body?.close();
    await settled();
  }

  breaks(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.fail(new TypeError('the network failed'));
    this.body?.error(new TypeError('the network failed'));
  }
}

const realTimeout = setTimeout;

/** Lets everything that waits for a stream or a promise go on. */
export const settled = (): Promise<void> => new Promise((resolve) => realTimeout(resolve, 0));
