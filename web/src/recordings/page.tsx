// MyShare: what the signed-in viewer recorded, and how much room it takes.

import { formatBytes } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import { useLive, useOnline, useSignIn } from '../ui/hooks';
import { Link, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, Loading } from '../ui/parts';
import { RecordingRow } from './row';

const POLL_MS = 5000;

function Usage({ used, quota }: { used: number; quota: number }) {
  const text = `${formatBytes(used)} of ${formatBytes(quota)} used`;
  return (
    <p className="usage">
      <meter min={0} max={quota} high={0.9 * quota} value={Math.min(used, quota)} aria-label="Storage used" />
      <span>{text}</span>
    </p>
  );
}

function Mine({ username }: { username: string }) {
  const isOnline = useOnline();
  const { data, error, refresh } = useLive(`recordings ${username}`, api.recordings, ['event'], POLL_MS);
  return (
    <>
      {!isOnline && (
        <p className="notice notice-warn" role="status">
          You are offline. What you see may be old; it is read again when you are back.
        </p>
      )}
      {error && isOnline && <ErrorNotice error={error} onRetry={refresh} />}
      {data === null && !error && <Loading what="Loading your recordings" />}
      {data !== null && <Usage used={data.used_bytes} quota={data.quota_bytes} />}
      {data?.recordings.length === 0 && (
        <Empty title="No recordings yet">
          <p>
            Press “Record” while an event is on air, or reserve one in the <Link to={to.calendar()}>calendar</Link>.
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
  useTitle('MyShare');
  const username = useSignIn()?.username ?? null;
  return (
    <div className="page">
      <div className="page-head">
        <h1>MyShare</h1>
      </div>
      {username === null ? (
        <Empty title="Your recordings are here">
          <p>
            <Link to={to.account}>Sign in</Link> to record events and to see them again.
          </p>
        </Empty>
      ) : (
        <Mine username={username} />
      )}
    </div>
  );
}
