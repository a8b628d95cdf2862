// Builds the app into the portal's static folder. JSX is compiled by Vite itself (tsconfig: react-jsx).
import { defineConfig } from 'vite';

// Where `umbel serve` listens by default, for `npx vite` during development.
const PORTAL = 'http://127.0.0.1:8000';

export default defineConfig({
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
