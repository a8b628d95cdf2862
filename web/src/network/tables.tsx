// The network as tables: for screen readers, exact numbers and copying.

import type { ReactNode } from 'react';

import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';

import { formatMbps, formatNumber, formatShare, formatWatts } from '../kit/format';
import { FUNCTION_STATES, NODE_STATES, roleName, type StateText, sentBy, wattsOf } from './numbers';
import type { Picture } from './picture';
import { Sparkline } from './sparkline';
import type { Trails } from './trail';

export function Table({
  caption,
  head,
  children,
}: {
  caption: string;
  head: readonly PlainKey[];
  children: ReactNode;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: keyboards can scroll a wide table only when it takes the focus
    <section className="table" aria-label={caption} tabIndex={0}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {head.map((key) => (
              <th key={key} scope="col">
                {t(key)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

const cores = (used: number, all: number): string => t('common.of', { used: formatNumber(used, 2), all });
const memory = (used: number, all: number): string => t('net.mib', { used: Math.round(used), all: Math.round(all) });

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
  return <span className={`mark mark-${mark}`}>{t(text)}</span>;
}

export function NetworkTables({ nodes, links, functions, tree, trails }: Picture & { trails: Trails }) {
  const hasWatts = wattsOf(nodes) !== null;
  return (
    <div className="tables">
      <Table
        caption={t('net.functions')}
        head={[
          'net.function',
          'common.role',
          'net.node',
          'net.state',
          'net.inThisTree',
          'common.viewers',
          'net.replayViewers',
          'net.sent',
          'net.cpu',
          'net.memory',
        ]}
      >
        {functions.map((fn) => (
          <tr key={fn.id}>
            <th scope="row">{fn.id}</th>
            <td>{roleName(fn.role)}</td>
            <td>{fn.node}</td>
            <td>
              <State state={FUNCTION_STATES[fn.state]} />
            </td>
            <td>{tree?.branches.some((branch) => branch.function === fn.id) ? t('common.yes') : t('common.no')}</td>
            <td>{fn.viewers}</td>
            <td>{fn.replay_viewers}</td>
            <td>{formatMbps(fn.mbps_out)}</td>
            <td>{formatShare(fn.cpu_cores, 1)}</td>
            <td>{t('net.oneMib', { used: Math.round(fn.rss_mb) })}</td>
          </tr>
        ))}
        {functions.length === 0 && <None columns={10} text={t('net.noFunctions')} />}
      </Table>
      <Table
        caption={t('net.nodes')}
        head={[
          'net.node',
          'net.state',
          ...(hasWatts ? (['net.power'] as const) : []),
          'net.cores',
          'net.memory',
          'net.sent',
          'net.lastMinutes',
          'net.promised',
          'net.kind',
          'net.pool',
          'net.address',
          'net.machine',
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
      <Table caption={t('net.links')} head={['net.between', 'net.and', 'net.traffic', 'net.capacity', 'net.load']}>
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
