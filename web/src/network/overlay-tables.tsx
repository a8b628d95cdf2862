// The overlay as tables: switches, tunnels, slices and the operator's paths.

import { useState } from 'react';

import { formatMbps } from '../kit/format';
import { api } from '../kit/portal';
import type { NetworkPath, PathEnd, Slice, SwitchStatus } from '../kit/types';
import { useAction } from '../ui/hooks';
import { Confirm, ErrorNotice } from '../ui/parts';
import { lookOf, type Overlay, tunnelLabel, usageLabel } from './overlay';
import { None, Table } from './tables';

/** The first reserved port number of a switch (OpenFlow 1.3, 7.2.1). */
const RESERVED_PORTS = 0xffffff00;

interface SwitchesProps {
  switches: readonly SwitchStatus[];
  chosen: string | null;
  onNode: (name: string) => void;
}

export function Switches({ switches, chosen, onNode }: SwitchesProps) {
  return (
    <Table caption="Switches" head={['Node', 'Datapath', 'State', 'Ports', 'Rules']}>
      {switches.map((one) => (
        <tr key={one.node} className={chosen === one.node ? 'row-chosen' : undefined}>
          <th scope="row">{one.node}</th>
          <td>
            <code>{one.datapath_id}</code>
          </td>
          <td>
            <span className={one.connected ? 'mark mark-up' : 'mark mark-down'}>
              {one.connected ? 'connected' : 'not connected'}
            </span>
          </td>
          <td className="ports">
            {one.ports
              .filter((port) => port.number < RESERVED_PORTS)
              .map((port) => (
                <span key={port.number} className={port.live ? 'port' : 'port port-dead'}>
                  {port.number} {port.name}
                  {port.live ? '' : ' (dead)'}
                </span>
              ))}
          </td>
          <td>
            <button
              type="button"
              className="button button-small"
              aria-pressed={chosen === one.node}
              onClick={() => {
                onNode(one.node);
              }}
            >
              Explain
            </button>
          </td>
        </tr>
      ))}
    </Table>
  );
}

export function Tunnels({ links }: Pick<Overlay, 'links'>) {
  return (
    <Table caption="Tunnels" head={['Between', 'and', 'Drawn as', 'Tunnel', 'Streams', 'Delay']}>
      {links.map((link) => (
        <tr key={`${link.a} ${link.b}`}>
          <th scope="row">{link.a}</th>
          <td>{link.b}</td>
          <td>
            <span className={`swatch swatch-${lookOf(link)}`} aria-hidden="true" /> {usageLabel(link)}
          </td>
          <td>{link.state === 'down' ? <span className="mark mark-down">down</span> : tunnelLabel(link)}</td>
          <td>{link.streams.length === 0 ? '–' : link.streams.join(', ')}</td>
          <td>{link.delay_ms} ms</td>
        </tr>
      ))}
    </Table>
  );
}

const subjectOf = (slice: Slice): string => slice.event_id ?? (slice.functions ?? []).join(' to ');

export function Slices({ slices }: Pick<Overlay, 'slices'>) {
  return (
    <Table caption="Slices" head={['Stream', 'Grade', 'Minimum', 'Maximum', 'Offered', 'Over maximum', 'Guaranteed']}>
      {slices.map((slice) => (
        <tr key={slice.id}>
          <th scope="row">{subjectOf(slice)}</th>
          <td>
            <span className={`badge grade-${slice.grade}`}>{slice.grade.toUpperCase()}</span>
          </td>
          <td>{formatMbps(slice.min_mbps)}</td>
          <td>{formatMbps(slice.max_mbps)}</td>
          <td>{formatMbps(slice.offered.mbps)}</td>
          <td>{slice.offered.drops} dropped</td>
          <td>{slice.guaranteed ? 'on all links' : <span className="mark mark-down">not on all links</span>}</td>
        </tr>
      ))}
      {slices.length === 0 && <None columns={7} text="No slices yet." />}
    </Table>
  );
}

function endLabel({ leaf, receiver }: PathEnd): string {
  const port = receiver.port === null ? '' : `:${String(receiver.port)}`;
  return `${receiver.address}${port} (${receiver.kind}) at ${leaf}`;
}

function routeLabel(path: NetworkPath): string {
  return [path.root, ...path.links.map(([, to]) => to)].join(' → ');
}

function PathRow({ path, onRemove }: { path: NetworkPath; onRemove: () => void }) {
  return (
    <tr>
      <th scope="row">{path.stream}</th>
      <td>{path.links.length === 0 ? `${path.root} → ${path.leaf}` : routeLabel(path)}</td>
      <td>
        {endLabel(path)}
        {path.moving && <small>moving to {endLabel(path.moving)}</small>}
      </td>
      <td>
        <code>
          {path.target.address}:{path.target.port}
        </code>
      </td>
      <td>
        {path.carried ? (
          <span className="mark mark-up">carried</span>
        ) : (
          <span className="mark mark-down">{path.error}</span>
        )}
        {path.notice && <small>{path.notice}</small>}
      </td>
      <td>
        <button
          type="button"
          className="button button-small button-danger"
          aria-label={`Remove the path of ${path.stream} to ${path.leaf}`}
          onClick={onRemove}
        >
          Remove
        </button>
      </td>
    </tr>
  );
}

export function Paths({ paths, onChange }: { paths: readonly NetworkPath[]; onChange: () => void }) {
  const [leaving, setLeaving] = useState<NetworkPath | null>(null);
  const { error, run } = useAction();
  const remove = (path: NetworkPath): void => {
    void run(async () => {
      await api.removePath(path.id);
      onChange();
    });
  };
  return (
    <>
      {error && <ErrorNotice error={error} />}
      <Table caption="Paths" head={['Stream', 'Route', 'Receiver', 'Send to', 'State', 'Actions']}>
        {paths.map((path) => (
          <PathRow
            key={path.id}
            path={path}
            onRemove={() => {
              setLeaving(path);
            }}
          />
        ))}
        {paths.length === 0 && (
          <None
            columns={6}
            text="No paths yet. Your own streams are dropped until you add one; event streams are routed automatically."
          />
        )}
      </Table>
      {leaving && (
        <Confirm
          title="Remove this path?"
          action="Remove"
          onConfirm={() => {
            remove(leaving);
          }}
          onClose={() => {
            setLeaving(null);
          }}
        >
          <p>
            Stream {leaving.stream} is no longer sent to {endLabel(leaving)}.
          </p>
        </Confirm>
      )}
    </>
  );
}
