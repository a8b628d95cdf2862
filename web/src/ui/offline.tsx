// Says that the browser has no network, over what was read before.

import { t } from '../i18n/t';
import { useOnline } from './hooks';

export function Offline() {
  if (useOnline()) return null;
  return (
    <div className="offline">
      <p className="notice notice-warn" role="status">
        {t('common.offline')}
      </p>
    </div>
  );
}
