import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { App } from './app';
import { account } from './kit/account';
import './styles/base.css';
import './styles/parts.css';
import './styles/discover.css';
import './styles/player.css';
import './styles/studio.css';
import './styles/network.css';
import './styles/network-tables.css';

account.load();
const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
