// The part of Node that vite.config.ts and tests use. The app runs in browsers, so it has no types of Node.
declare module 'node:zlib' {
  export function brotliCompressSync(data: Uint8Array): Uint8Array;
  export function gzipSync(data: Uint8Array, options: { level: number }): Uint8Array;
}

declare module 'node:fs' {
  export function readFileSync(path: URL | string, encoding: 'utf8'): string;
  export function readdirSync(path: URL | string, options: { recursive: true; encoding: 'utf8' }): string[];
}

declare module 'node:vm' {
  export function runInNewContext(code: string, globals: object): unknown;
}
