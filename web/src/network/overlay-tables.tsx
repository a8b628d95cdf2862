// The overlay as tables: switches, tunnels, slices and the operator's paths.

import { useState } from 'react';
import { t } from '../i18n/t';

import { formatMbps } from '../kit/format';
import { api } from '../kit/portal';
import type { NetworkPath, PathEnd, Slice, SwitchStatus } from '../kit/types';
import { useAction } from '../ui/hooks';
import { Confirm, ErrorNotice } from '../ui/parts';
import { lookOf, type Overlay, tunnelLabel, usageLabel } from './overlay';
import type { OpenNode } from './picture';
import { None, Table } from './tables';

/** The first reserved port number of a switch (OpenFlow 1.3, 7.2.1). */
const RESERVED_PORTS = 0xffffff00;

const portName = ({ number, name }: SwitchStatus['ports'][number]): string => `${String(number)} ${name}`;

interface SwitchesProps {
  switches: readonly SwitchStatus[];
  chosen: string | null;
  onNode: OpenNode;
}

export function Switches({ switches, chosen, onNode }: SwitchesProps) {
  return (
    <Table caption={t('net.switches')} head={['net.node', 'net.datapath', 'net.state', 'net.ports', 'net.rules']}>
      {switches.map((one) => (
        <tr key={one.node} className={chosen === one.node ? 'row-chosen' : undefined}>
          <th scope="row">{one.node}</th>
          <td>
            <code>{one.datapath_id}</code>
          </td>
          <td>
            <span className={one.connected ? 'mark mark-up' : 'mark mark-down'}>
              {one.connected ? t('net.connected') : t('net.notConnected')}
            </span>
          </td>
          <td className="ports">
            {one.ports
              .filter((port) => port.number < RESERVED_PORTS)
              .map((port) => (
                <span key={port.number} className={port.live ? 'port' : 'port port-dead'}>
                  {port.live ? portName(port) : t('net.dead', { port: portName(port) })}
                </span>
              ))}
          </td>
          <td>
            <button
              type="button"
              className="button button-small"
              aria-pressed={chosen === one.node}
              onClick={({ detail }) => {
                onNode(one.node, detail === 0);
              }}
            >
              {t('net.explain')}
            </button>
          </td>
        </tr>
      ))}
    </Table>
  );
}

export function Tunnels({ links }: Pick<Overlay, 'links'>) {
  return (
    <Table
      caption={t('net.tunnels')}
      head={['net.between', 'net.and', 'net.drawnAs', 'net.tunnel', 'net.streams', 'net.delay']}
    >
      {links.map((link) => (
        <tr key={`${link.a} ${link.b}`}>
          <th scope="row">{link.a}</th>
          <td>{link.b}</td>
          <td>
            <span className={`swatch swatch-${lookOf(link)}`} aria-hidden="true" /> {usageLabel(link)}
          </td>
          <td>{link.state === 'down' ? <span className="mark mark-down">{t('net.down')}</span> : tunnelLabel(link)}</td>
          <td>{link.streams.length === 0 ? '–' : link.streams.join(', ')}</td>
          <td>{t('net.delayMs', { delay: link.delay_ms })}</td>
        </tr>
      ))}
    </Table>
  );
}

const subjectOf = (slice: Slice): string =>
  slice.event_id ?? (slice.functions ?? []).reduce((from, to) => t('picture.hop', { from, to }));

export function Slices({ slices }: Pick<Overlay, 'slices'>) {
  return (
    <Table
      caption={t('net.slices')}
      head={[
        'net.stream',
        'net.grade',
        'net.minimum',
        'net.maximum',
        'net.offered',
        'net.overMaximum',
        'net.guaranteed',
      ]}
    >
      {slices.map((slice) => (
        <tr key={slice.id}>
          <th scope="row">{subjectOf(slice)}</th>
          <td>
            <span className={`badge grade-${slice.grade}`}>{slice.grade.toUpperCase()}</span>
          </td>
          <td>{formatMbps(slice.min_mbps)}</td>
          <td>{formatMbps(slice.max_mbps)}</td>
          <td>{formatMbps(slice.offered.mbps)}</td>
          <td>{t('net.droppedCount', { count: slice.offered.drops })}</td>
          <td>
            {slice.guaranteed ? t('net.onAllLinks') : <span className="mark mark-down">{t('net.notOnAllLinks')}</span>}
          </td>
        </tr>
      ))}
      {slices.length === 0 && <None columns={7} text={t('net.noSlices')} />}
    </Table>
  );
}

function endLabel({ leaf, receiver }: PathEnd): string {
  const port = receiver.port === null ? '' : `:${String(receiver.port)}`;
  return t('path.endAt', { where: receiver.address, port, kind: receiver.kind, leaf });
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
        {path.moving && <small>{t('path.movingTo', { end: endLabel(path.moving) })}</small>}
      </td>
      <td>
        <code>
          {path.target.address}:{path.target.port}
        </code>
      </td>
      <td>
        {path.carried ? (
          <span className="mark mark-up">{t('path.carried')}</span>
        ) : (
          <span className="mark mark-down">{path.error}</span>
        )}
        {path.notice && <small>{path.notice}</small>}
      </td>
      <td>
        <button
          type="button"
          className="button button-small button-danger"
          aria-label={t('path.removeNamed', { stream: path.stream, leaf: path.leaf })}
          onClick={onRemove}
        >
          {t('common.remove')}
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
      <Table
        caption={t('net.paths')}
        head={['net.stream', 'path.route', 'path.receiver', 'path.sendTo', 'net.state', 'common.actions']}
      >
        {paths.map((path) => (
          <PathRow
            key={path.id}
            path={path}
            onRemove={() => {
              setLeaving(path);
            }}
          />
        ))}
        {paths.length === 0 && <None columns={6} text={t('path.none')} />}
      </Table>
      {leaving && (
        <Confirm
          title={t('path.removeConfirm')}
          action={t('common.remove')}
          onConfirm={() => {
            remove(leaving);
          }}
          onClose={() => {
            setLeaving(null);
          }}
        >
          <p>{t('path.removeText', { stream: leaving.stream, end: endLabel(leaving) })}</p>
        </Confirm>
      )}
    </>
  );
}
