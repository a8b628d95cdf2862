// Shows the app, once its script and the first page's are there.

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { App, type WatchPage } from './app';
import { installWorker } from './kit/push';
import { keepFocus } from './ui/focus';

export function mount(root: HTMLElement, watch: WatchPage | null): void {
  createRoot(root).render(
    <StrictMode>
      <App watch={watch} />
    </StrictMode>,
  );
  keepFocus();
  installWorker();
}
