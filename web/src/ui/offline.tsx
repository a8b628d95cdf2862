// Says that the browser has no network, over what was read before.

import { useOnline } from './hooks';

export function Offline() {
  if (useOnline()) return null;
  return (
    <p className="notice notice-warn" role="status">
      You are offline. What you see may be old; it is read again when you are back.
    </p>
  );
}
