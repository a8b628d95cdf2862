// MyShare: what the signed-in viewer recorded, and how much room it takes.

import { rich, t } from '../i18n/t';
import { formatBytes } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useLive, useOnline, useSignIn } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, Loading } from '../ui/parts';
import { RecordingRow } from './row';

const POLL_MS = 5000;

function Usage({ used, quota }: { used: number; quota: number }) {
  const text = t('recordings.used', { used: formatBytes(used), quota: formatBytes(quota) });
  return (
    <p className="usage">
      <meter
        min={0}
        max={quota}
        high={0.9 * quota}
        value={Math.min(used, quota)}
        aria-label={t('recordings.storage')}
      />
      <span>{text}</span>
    </p>
  );
}

function Mine({ username }: { username: string }) {
  const isOnline = useOnline();
  const { data, error, refresh } = useLive(`recordings ${username}`, api.recordings, ['event'], POLL_MS);
  return (
    <>
      {error && isOnline && <ErrorNotice error={error} onRetry={refresh} />}
      {data === null && !error && <Loading what={t('recordings.loading')} />}
      {data !== null && <Usage used={data.used_bytes} quota={data.quota_bytes} />}
      {data?.recordings.length === 0 && (
        <Empty title={t('recordings.none')}>
          <p>
            {rich('recordings.noneAdvice', {
              button: t('record.now'),
              calendar: <Link to={to.calendar()}>{t('recordings.calendar')}</Link>,
            })}
          </p>
        </Empty>
      )}
      {data !== null && data.recordings.length > 0 && (
        <ul className="plain-list stack">
          {data.recordings.map((one) => (
            <RecordingRow key={one.id} recording={one} onChange={refresh} />
          ))}
        </ul>
      )}
    </>
  );
}

export default function Recordings() {
  useTitle(t('nav.myShare'));
  const username = useSignIn()?.username ?? null;
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t('nav.myShare')}</h1>
      </div>
      {username === null ? (
        <Empty title={t('recordings.here')}>
          <p>{rich('recordings.signIn', { link: <Link to={to.account}>{t('common.signIn')}</Link> })}</p>
        </Empty>
      ) : (
        <Mine username={username} />
      )}
    </div>
  );
}
