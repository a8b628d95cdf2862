// The network as tables: for screen readers, exact numbers and copying.

import type { ReactNode } from 'react';

import { formatMbps, formatShare, formatWatts } from '../kit/format';
import { NODE_STATES, type StateText, sentBy, wattsOf } from './numbers';
import type { Picture } from './picture';
import { Sparkline } from './sparkline';
import type { Trails } from './trail';

export function Table({ caption, head, children }: { caption: string; head: readonly string[]; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: keyboards can scroll a wide table only when it takes the focus
    <section className="table" aria-label={caption} tabIndex={0}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {head.map((text) => (
              <th key={text} scope="col">
                {text}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

const cores = (used: number, of: number): string => `${used.toFixed(2)} of ${String(of)}`;
const memory = (used: number, of: number): string => `${String(Math.round(used))} of ${String(Math.round(of))} MiB`;

export function None({ columns, text }: { columns: number; text: string }) {
  return (
    <tr>
      <td colSpan={columns} className="quiet">
        {text}
      </td>
    </tr>
  );
}

function State({ state: { mark, text } }: { state: StateText }) {
  return <span className={`mark mark-${mark}`}>{text}</span>;
}

export const functionState = (state: string): StateText => ({
  mark: state === 'active' ? 'up' : state === 'failed' ? 'down' : 'warn',
  text: state,
});

export function NetworkTables({ nodes, links, functions, tree, trails }: Picture & { trails: Trails }) {
  const hasWatts = wattsOf(nodes) !== null;
  return (
    <div className="tables">
      <Table
        caption="Functions"
        head={['Function', 'Role', 'Node', 'State', 'In this tree', 'Viewers', 'Sent', 'CPU', 'Memory']}
      >
        {functions.map((fn) => (
          <tr key={fn.id}>
            <th scope="row">{fn.id}</th>
            <td>{fn.role}</td>
            <td>{fn.node}</td>
            <td>
              <State state={functionState(fn.state)} />
            </td>
            <td>{tree?.branches.some((branch) => branch.function === fn.id) ? 'yes' : 'no'}</td>
            <td>{fn.viewers}</td>
            <td>{formatMbps(fn.mbps_out)}</td>
            <td>{formatShare(fn.cpu_cores, 1)}</td>
            <td>{Math.round(fn.rss_mb)} MiB</td>
          </tr>
        ))}
        {functions.length === 0 && (
          <None columns={9} text="No functions are running. The first provider or viewer starts one." />
        )}
      </Table>
      <Table
        caption="Nodes"
        head={[
          'Node',
          'State',
          ...(hasWatts ? ['Power'] : []),
          'Cores',
          'Memory',
          'Sent',
          'Last 5 min',
          'Promised',
          'Kind',
          'Pool',
          'Address',
          'Machine',
        ]}
      >
        {nodes.map((node) => (
          <tr key={node.name}>
            <th scope="row">{node.name}</th>
            <td>
              <State state={NODE_STATES[node.state]} />
            </td>
            {hasWatts && <td>{node.watts === null ? '–' : formatWatts(node.watts)}</td>}
            <td>{cores(node.cores_used, node.cores)}</td>
            <td>{memory(node.memory_used_mb, node.memory_mb)}</td>
            <td>{formatMbps(node.mbps_used)}</td>
            <td>
              <Sparkline trail={trails.get(sentBy(node.name))} />
            </td>
            <td>{node.promised.map((one) => `${one.owner}: ${cores(one.cores, node.cores)}`).join(', ')}</td>
            <td>{node.kind}</td>
            <td>{node.pool}</td>
            <td>{node.address}</td>
            <td>{node.power}</td>
          </tr>
        ))}
      </Table>
      <Table caption="Links" head={['Between', 'and', 'Traffic', 'Capacity', 'Load']}>
        {links.map((link) => (
          <tr key={`${link.a} ${link.b}`}>
            <th scope="row">{link.a}</th>
            <td>{link.b}</td>
            <td>{formatMbps(link.used_mbps)}</td>
            <td>{formatMbps(link.mbps)}</td>
            <td>{formatShare(link.used_mbps, link.mbps)}</td>
          </tr>
        ))}
      </Table>
    </div>
  );
}
