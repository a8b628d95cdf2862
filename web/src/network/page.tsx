// The operator's view: the network now, and the tree of a chosen event over it.

import { useId } from 'react';

import { ApiError } from '../kit/api';
import { formatKilowatts, formatMbps } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { LiveEvent, Tree } from '../kit/types';
import { SignInForm } from '../studio/account';
import { useLive, useSignIn } from '../ui/hooks';
import { navigate, useSearch, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, Loading } from '../ui/parts';
import { NetworkPicture, type Picture } from './picture';
import { NetworkTables } from './tables';

const KINDS = ['tree', 'function', 'event', 'session', 'node', 'link', 'stream'];
const POLL_MS = 2000;
const EVENTS_POLL_MS = 15_000;

/** An event whose stream has not begun has no tree: that is nothing to complain about. */
async function treeOf(eventId: string): Promise<Tree | null> {
  try {
    return await api.tree(eventId);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

async function readNetwork(): Promise<Omit<Picture, 'tree'>> {
  const [nodes, links, functions] = await Promise.all([api.nodes(), api.links(), api.functions()]);
  return { nodes, links, functions };
}

function Choose({ events, chosen }: { events: readonly LiveEvent[]; chosen: string | null }) {
  const id = useId();
  return (
    <div className="choose">
      <label htmlFor={id}>Tree of</label>
      <select id={id} value={chosen ?? ''} onChange={(event) => { navigate(to.network(event.target.value), true); }}>
        {events.length === 0 && <option value="">No event is open</option>}
        {events.map((event) => (
          <option key={event.id} value={event.id}>
            {event.title}
          </option>
        ))}
      </select>
    </div>
  );
}

function Totals({ nodes, functions, tree }: Picture) {
  const viewers = functions.reduce((sum, fn) => sum + fn.viewers, 0);
  const sent = functions.reduce((sum, fn) => sum + fn.mbps_out, 0);
  const used = nodes.reduce((sum, node) => sum + node.cores_used, 0);
  const watts = nodes.reduce((sum, node) => sum + node.watts, 0);
  const facts: [string, string][] = [
    ['Functions', String(functions.length)],
    ['Viewers', String(viewers)],
    ['Sent by functions', formatMbps(sent)],
    ['Cores in use', used.toFixed(1)],
    ['Power, by the model', formatKilowatts(watts)],
    ['Hops of this tree', tree ? String(tree.hops) : '–'],
  ];
  return (
    <dl className="totals">
      {facts.map(([name, value]) => (
        <div key={name} className="fact">
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Legend() {
  return (
    <ul className="legend">
      <li><span className="legend-flow" aria-hidden="true" /> the stream’s way</li>
      <li><span className="legend-link" aria-hidden="true" /> link, wider with load</li>
      <li><span className="legend-ring" aria-hidden="true" /> cores in use</li>
      <li><span className="legend-rest" aria-hidden="true" /> node in standby</li>
    </ul>
  );
}

function Operators({ username }: { username: string }) {
  const wanted = useSearch().get('event');
  const events = useLive('events', api.events, ['event'], EVENTS_POLL_MS);
  const open = (events.data ?? []).filter((event) => event.state === 'live' || event.state === 'open');
  const live = open.find((event) => event.state === 'live') ?? open[0];
  const chosen = wanted ?? live?.id ?? null;
  const { data, error, refresh } = useLive(`network ${username}`, readNetwork, KINDS, POLL_MS);
  const tree = useLive(chosen && `tree ${chosen}`, () => treeOf(chosen ?? ''), KINDS, POLL_MS);

  if (error?.status === 403) {
    return (
      <Empty title="The network is its operator’s to see">
        <p>This account may watch and publish. Sign in as an operator to see nodes, links and trees.</p>
      </Empty>
    );
  }
  const picture = data && { ...data, tree: tree.data };
  return (
    <>
      <div className="page-head">
        <h1>Network</h1>
        <Choose events={open} chosen={chosen} />
      </div>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {picture && picture.nodes.length > 0 && (
        <>
          <section className="panel network" aria-label="Picture">
            <Totals {...picture} />
            <NetworkPicture {...picture} />
            <Legend />
          </section>
          <NetworkTables {...picture} />
        </>
      )}
      {picture?.nodes.length === 0 && (
        <Empty title="This network has no nodes">
          <p>Name them in the network file that Umbel is started with.</p>
        </Empty>
      )}
      {!data && !error && <Loading what="Looking at the network" />}
    </>
  );
}

export default function Network() {
  useTitle('Network');
  const signIn = useSignIn();
  return (
    <div className="page">
      {signIn ? (
        <Operators key={signIn.username} username={signIn.username} />
      ) : (
        <SignInForm title="Sign in to see the network">For the operator of this network.</SignInForm>
      )}
    </div>
  );
}
