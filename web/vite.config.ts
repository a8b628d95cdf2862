// Builds the app into the portal's static folder. JSX is compiled by Vite itself (tsconfig: react-jsx).
import { brotliCompressSync, gzipSync } from 'node:zlib';

import { defineConfig, type Plugin } from 'vite';

// Where `umbel serve` listens by default, for `npx vite` during development.
const PORTAL = 'http://127.0.0.1:8000';

// Smaller files fit into the first packets anyway.
const LEAST_BYTES = 1024;

function coded(content: string | Uint8Array): { suffix: string; source: Uint8Array }[] {
  const data = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  if (data.length < LEAST_BYTES) return [];
  return [
    { suffix: 'br', source: brotliCompressSync(data) },
    { suffix: 'gz', source: gzipSync(data, { level: 9 }) },
  ].filter(({ source }) => source.length < data.length);
}

/** Puts FILE.br and FILE.gz next to each file of the build; the portal sends what the browser accepts. */
function compress(): Plugin {
  return {
    name: 'umbel-compress',
    apply: 'build',
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        for (const file of Object.values(bundle)) {
          for (const { suffix, source } of coded(file.type === 'chunk' ? file.code : file.source)) {
            this.emitFile({ type: 'asset', fileName: `${file.fileName}.${suffix}`, source });
          }
        }
      },
    },
  };
}

/** Loads the app's scripts together with the first one, which requests what the watch page needs. */
function preloadApp(): Plugin {
  return {
    name: 'umbel-preload-app',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler(_html, { bundle, filename }) {
        const chunks = filename.endsWith('/index.html') ? Object.values(bundle ?? {}) : [];
        const app = chunks.find((file) => file.type === 'chunk' && file.facadeModuleId?.endsWith('/src/mount.tsx'));
        const files = app?.type === 'chunk' ? [app.fileName, ...app.imports] : [];
        // What the app shares with the first script is in the first script, which is loaded anyway.
        const others = files.filter(
          (file) => !chunks.some((one) => one.fileName === file && one.type === 'chunk' && one.isEntry),
        );
        return others.map((file) => ({
          tag: 'link',
          attrs: { rel: 'modulepreload', crossorigin: true, href: `/${file}` },
          injectTo: 'head' as const,
        }));
      },
    },
  };
}

export default defineConfig({
  plugins: [preloadApp(), compress()],
  build: {
    outDir: '../src/umbel/portal/static',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    // hls.js in full is one lazy chunk of about 560 kB; anything above that is a mistake.
    chunkSizeWarningLimit: 600,
    rolldownOptions: { input: ['index.html', 'docs.html'] },
  },
  server: {
    proxy: { '/api': PORTAL, '/oauth': PORTAL, '/openapi.json': PORTAL },
  },
});
