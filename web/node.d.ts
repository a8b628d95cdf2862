// The part of Node that vite.config.ts uses. The app runs in browsers, so it has no types of Node.
declare module 'node:zlib' {
  export function brotliCompressSync(data: Uint8Array): Uint8Array;
  export function gzipSync(data: Uint8Array, options: { level: number }): Uint8Array;
}
