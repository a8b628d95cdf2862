// The operator's view: the network now, with the tree of a chosen event.

import { useId, useMemo, useRef, useState } from 'react';
import { rich, t } from '../i18n/t';

import { ApiError } from '../kit/api';
import { formatMbps, formatNumber, formatWatts } from '../kit/format';
import { api } from '../kit/portal';
import { to } from '../kit/routes';
import type { ChangeKind, LiveEvent, Slice, Tree } from '../kit/types';
import { type Live, useLive, useSignIn } from '../ui/hooks';
import { navigate, useSearch, useTitle } from '../ui/navigation';
import { Empty, ErrorNotice, ErrorPage, Loading } from '../ui/parts';
import { SignInForm } from '../ui/sign-in';
import { DrawingEditor } from './drawing';
import { NewPathForm } from './new-path';
import { samplesOf, totalsOf } from './numbers';
import { linksOf, marksOf, type Overlay, sliceOf, streamsOf } from './overlay';
import { Paths, Slices, Switches, Tunnels } from './overlay-tables';
import { NetworkPicture, type OpenNode, type Picture } from './picture';
import { Rules } from './rules';
import { Sparkline, useTrails } from './sparkline';
import { NetworkTables } from './tables';
import type { Trails } from './trail';
import { Webhooks } from './webhooks';

const KINDS: readonly ChangeKind[] = [
  'tree',
  'event',
  'session',
  'node',
  'drain',
  'function_appeared',
  'function_left',
];
const OVERLAY_KINDS: readonly ChangeKind[] = [
  'drawing',
  'path',
  'slice',
  'switch_up',
  'switch_down',
  'port_added',
  'port_removed',
  'link_up',
  'link_down',
  'path_changed',
];
const POLL_MS = 2000;
const EVENTS_POLL_MS = 15_000;

/** The event's tree; null while its stream has not begun. */
async function treeOf(eventId: string): Promise<Tree | null> {
  try {
    return await api.tree(eventId);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

type Network = Pick<Picture, 'nodes' | 'links' | 'functions'>;

async function readNetwork(): Promise<Network> {
  const [nodes, links, functions] = await Promise.all([api.nodes(), api.links(), api.functions()]);
  return { nodes, links, functions };
}

/** The slices; none where the switches have no queues to guarantee a rate. */
async function readSlices(): Promise<Slice[]> {
  try {
    return await api.slices();
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return [];
    throw error;
  }
}

/** The overlay; none where Umbel does not program the switches. */
async function readOverlay(): Promise<{ overlay: Overlay | null }> {
  const topology = await api.topology();
  if (!topology.programmed) return { overlay: null };
  const [switches, links, paths, slices] = await Promise.all([
    api.switches(),
    api.overlayLinks(),
    api.paths(),
    readSlices(),
  ]);
  return { overlay: { topology, switches, links, paths, slices } };
}

interface Shown {
  event: string | null;
  /** A stream of the operator's own, null when an event is shown. */
  stream: string | null;
}

const STREAM = 'stream ';

function Choose({
  events,
  streams,
  shown,
}: {
  events: readonly LiveEvent[];
  streams: readonly string[];
  shown: Shown;
}) {
  const id = useId();
  const choose = (value: string): void => {
    const address = value.startsWith(STREAM) ? to.networkStream(value.slice(STREAM.length)) : to.network(value);
    navigate(address, true);
  };
  return (
    <div className="choose">
      <label htmlFor={id}>{t('net.treeOf')}</label>
      <select
        id={id}
        value={shown.stream === null ? (shown.event ?? '') : `${STREAM}${shown.stream}`}
        onChange={(event) => {
          choose(event.target.value);
        }}
      >
        {events.length === 0 && <option value="">{t('net.noneOpen')}</option>}
        {events.map((event) => (
          <option key={event.id} value={event.id}>
            {event.title}
          </option>
        ))}
        {streams.length > 0 && (
          <optgroup label={t('net.streamsWithPaths')}>
            {streams.map((name) => (
              <option key={name} value={`${STREAM}${name}`}>
                {name}
              </option>
            ))}
          </optgroup>
        )}
      </select>
    </div>
  );
}

interface Fact {
  name: string;
  value: string;
  /** The trail of its last minutes, where the page keeps one. */
  trail?: string;
}

function TotalsRow({ nodes, functions, tree, grade, trails }: Picture & { grade: string | null; trails: Trails }) {
  const totals = totalsOf(nodes, functions);
  const facts: Fact[] = [
    { name: t('common.viewers'), value: formatNumber(totals.viewers), trail: 'viewers' },
    { name: t('net.sentByFunctions'), value: formatMbps(totals.sentMbps), trail: 'sent' },
    { name: t('net.coresInUse'), value: formatNumber(totals.cores, 1), trail: 'cores' },
    { name: t('net.functions'), value: String(functions.length) },
    { name: t('net.hops'), value: tree ? String(tree.hops) : '–' },
  ];
  if (totals.watts !== null)
    facts.push({ name: t('net.powerEstimated'), value: formatWatts(totals.watts), trail: 'watts' });
  if (grade !== null) facts.push({ name: t('net.sliceOfTree'), value: grade.toUpperCase() });
  return (
    <dl className="totals">
      {facts.map(({ name, value, trail }) => (
        <div key={name} className="fact">
          <dt>{name}</dt>
          <dd>
            {value}
            {trail !== undefined && <Sparkline trail={trails.get(trail)} />}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Legend({ programmed }: { programmed: boolean }) {
  return (
    <ul className="legend">
      <li>
        <span className="legend-flow" aria-hidden="true" /> {t('legend.path')}
      </li>
      <li>
        <span className="legend-link" aria-hidden="true" /> {t('legend.link')}
      </li>
      <li>
        <span className="legend-ring" aria-hidden="true" /> {t('legend.cores')}
      </li>
      <li>
        <span className="legend-rest" aria-hidden="true" /> {t('legend.rest')}
      </li>
      <li>
        <span className="mark mark-warn">{t('legend.cordoned')}</span>
      </li>
      <li>
        <span className="mark mark-down">{t('legend.lost')}</span>
      </li>
      {programmed && (
        <>
          <li>
            <span className="swatch swatch-tree" aria-hidden="true" /> {t('legend.tunnel')}
          </li>
          <li>
            <span className="swatch swatch-spare" aria-hidden="true" /> {t('legend.spare')}
          </li>
          <li>
            <span className="swatch swatch-down" aria-hidden="true" /> {t('net.down')}
          </li>
          <li>
            <span className="legend-away" aria-hidden="true" /> {t('legend.away')}
          </li>
        </>
      )}
    </ul>
  );
}

/** The node whose rules are shown. They are closed where they were opened, and the focus goes back there. */
function useChosenNode() {
  const [chosen, setChosen] = useState<{ name: string; byKeys: boolean } | null>(null);
  const opener = useRef<Element | null>(null);
  const open: OpenNode = (name, byKeys) => {
    opener.current = document.activeElement;
    setChosen(chosen?.name === name ? null : { name, byKeys });
  };
  const close = (): void => {
    setChosen(null);
    const { current } = opener;
    if (current instanceof HTMLElement || current instanceof SVGElement) current.focus();
  };
  return { name: chosen?.name ?? null, byKeys: chosen?.byKeys ?? false, open, close };
}

interface OverlayProps {
  overlay: Overlay;
  node: ReturnType<typeof useChosenNode>;
  onChange: () => void;
}

function OverlaySections({ overlay, node, onChange }: OverlayProps) {
  const chosen = node.name;
  const { switches } = overlay;
  const connected = switches.some((one) => one.node === chosen && one.connected);
  return (
    <>
      {chosen !== null && (
        <Rules key={chosen} node={chosen} connected={connected} takesFocus={node.byKeys} onClose={node.close} />
      )}
      <DrawingEditor overlay={overlay} onChange={onChange} />
      <NewPathForm topology={overlay.topology} onChange={onChange} />
      <div className="tables">
        <Paths paths={overlay.paths} onChange={onChange} />
        <Tunnels links={overlay.links} />
        <Switches switches={switches} chosen={chosen} onNode={node.open} />
        <Slices slices={overlay.slices} />
      </div>
    </>
  );
}

/** What the address selects: a stream, an event, or else the live event. */
function shownOf(search: URLSearchParams, open: readonly LiveEvent[]): Shown {
  const live = open.find((event) => event.state === 'live') ?? open[0];
  const stream = search.get('stream');
  return { stream, event: stream === null ? (search.get('event') ?? live?.id ?? null) : null };
}

/** What the overlay adds to the picture of the network. */
function overlayPicture(overlay: Overlay | null, stream: string | null): Pick<Picture, 'marks' | 'stream'> {
  return {
    marks: overlay && marksOf(overlay),
    stream: stream === null ? null : { name: stream, links: linksOf(stream, overlay?.paths ?? []) },
  };
}

/** Whether the first answer came, or the reason why none did. */
const isKnown = ({ data, error }: Live<unknown>): boolean => data !== null || error !== null;

interface NetworkViewProps {
  username: string;
  network: Live<Network>;
}

/** The page once the portal has shown the network to this user. */
function NetworkView({ username, network: { data, error, refresh } }: NetworkViewProps) {
  const search = useSearch();
  const node = useChosenNode();
  const events = useLive('own events', api.ownEvents, ['event'], EVENTS_POLL_MS);
  const open = (events.data ?? []).filter((event) => event.state === 'live' || event.state === 'open');
  const shown = shownOf(search, open);
  const tree = useLive(shown.event && `tree ${shown.event}`, () => treeOf(shown.event ?? ''), KINDS, POLL_MS);
  const read = useLive(`overlay ${username}`, readOverlay, OVERLAY_KINDS, POLL_MS);
  const overlay = read.data?.overlay ?? null;
  // Nothing is drawn before the overlay and the events are known: what is below them would be pushed down.
  const isRead = isKnown(read) && isKnown(events);
  const samples = useMemo(() => data && samplesOf(data.nodes, data.functions), [data]);
  const trails = useTrails(samples);
  const paths = overlay?.paths ?? [];
  const picture = data && { ...data, tree: tree.data, ...overlayPicture(overlay, shown.stream) };
  const grade = sliceOf(shown.event, overlay?.slices ?? [])?.grade ?? null;
  return (
    <>
      <div className="page-head">
        <h1>{t('nav.network')}</h1>
        <Choose events={open} streams={streamsOf(paths)} shown={shown} />
      </div>
      {error && <ErrorNotice error={error} onRetry={refresh} />}
      {picture && !isRead && <Loading what={t('net.loading')} />}
      {picture && isRead && picture.nodes.length > 0 && (
        <>
          <section className="panel network" aria-label={t('net.picture')}>
            <TotalsRow {...picture} grade={grade} trails={trails} />
            {overlay ? (
              <NetworkPicture {...picture} chosen={node.name} onNode={node.open} />
            ) : (
              <NetworkPicture {...picture} />
            )}
            <Legend programmed={overlay !== null} />
          </section>
          {read.error && <ErrorNotice error={read.error} onRetry={read.refresh} />}
          {overlay && <OverlaySections overlay={overlay} node={node} onChange={read.refresh} />}
          <NetworkTables {...picture} trails={trails} />
          <div className="tables">
            <Webhooks username={username} />
          </div>
        </>
      )}
      {isRead && picture?.nodes.length === 0 && (
        <Empty title={t('net.empty')}>
          <p>{rich('net.emptyAdvice', { command: <code>umbel node add</code> })}</p>
        </Empty>
      )}
    </>
  );
}

/** Reads the network first: a user who may not see it gets a message, and nothing else is asked. */
function Operators({ username }: { username: string }) {
  const network = useLive(`network ${username}`, readNetwork, KINDS, POLL_MS);
  const { data, error, refresh } = network;
  if (error?.status === 403) {
    return (
      <Empty isPage title={t('net.operatorsOnly')}>
        <p>{t('net.operatorsOnlyAdvice')}</p>
      </Empty>
    );
  }
  if (data) return <NetworkView username={username} network={network} />;
  return error ? (
    <ErrorPage title={t('net.cannotShow')} error={error} onRetry={refresh} />
  ) : (
    <Loading what={t('net.loading')} />
  );
}

export default function NetworkPage() {
  useTitle(t('nav.network'));
  const signIn = useSignIn();
  return (
    <div className="page">
      {signIn ? (
        <Operators key={signIn.username} username={signIn.username} />
      ) : (
        <SignInForm title={t('net.signIn')}>{t('net.forOperators')}</SignInForm>
      )}
    </div>
  );
}
