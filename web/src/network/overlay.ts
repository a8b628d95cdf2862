// The overlay for the picture and the forms. Pure. In: the portal's JSON. Out: what to draw and to send.

import type { PlainKey } from '../i18n/catalogue';
import { t } from '../i18n/t';
import type { NetworkPath, NewTopology, NodeRole, OverlayLink, Slice, SwitchStatus, Topology } from '../kit/types';
import { linkKey } from './layout';

/** The state of an overlay, read at once. */
export interface Overlay {
  topology: Topology;
  switches: SwitchStatus[];
  links: OverlayLink[];
  paths: NetworkPath[];
  slices: Slice[];
}

export type LinkLook = 'tree' | 'spare' | 'cut' | 'undrawn' | 'down';

/** What the picture shows of an overlay: links by `linkKey`, nodes by name. */
export interface Marks {
  looks: ReadonlyMap<string, LinkLook>;
  roles: ReadonlyMap<string, NodeRole>;
  disconnected: ReadonlySet<string>;
}

/** A link that is down looks down, whatever it is drawn as. */
export const lookOf = (link: OverlayLink): LinkLook => (link.state === 'down' ? 'down' : link.use);

export function marksOf(overlay: Overlay): Marks {
  const drawn = overlay.topology.nodes.flatMap(({ name, role }): [string, NodeRole][] =>
    role === null ? [] : [[name, role]],
  );
  return {
    looks: new Map(overlay.links.map((link) => [linkKey(link.a, link.b), lookOf(link)])),
    roles: new Map(drawn),
    disconnected: new Set(overlay.switches.filter((one) => !one.connected).map((one) => one.node)),
  };
}

/** The links of a stream's paths, each once, as (from, to). */
export function linksOf(stream: string, paths: readonly NetworkPath[]): [string, string][] {
  const links = new Map<string, [string, string]>();
  for (const path of paths) {
    if (path.stream !== stream) continue;
    for (const [from, to] of path.links) links.set(`${from} ${to}`, [from, to]);
  }
  return [...links.values()];
}

export const streamsOf = (paths: readonly NetworkPath[]): string[] =>
  [...new Set(paths.map((path) => path.stream))].sort();

/** The slice of an event's tree; null when there is none. */
export const sliceOf = (eventId: string | null, slices: readonly Slice[]): Slice | null =>
  slices.find((slice) => eventId !== null && slice.event_id === eventId) ?? null;

const USES: Readonly<Record<OverlayLink['use'], PlainKey>> = {
  tree: 'net.inTree',
  spare: 'legend.spare',
  cut: 'net.cut',
  undrawn: 'draw.notDrawn',
};

export const usageLabel = (link: OverlayLink): string => t(USES[link.use]);

export function tunnelLabel(link: OverlayLink): string {
  if (link.state === 'down') return t('net.down');
  return link.tunnel ? t('net.up') : t('net.noTunnel');
}

/** A drawing that is not applied yet: a role for each drawn node, and links by `linkKey`. */
export interface Draft {
  roles: ReadonlyMap<string, NodeRole>;
  links: ReadonlySet<string>;
}

export function draftOf({ topology, links }: Overlay): Draft {
  const drawn = topology.nodes.flatMap(({ name, role }): [string, NodeRole][] => (role === null ? [] : [[name, role]]));
  return {
    roles: new Map(drawn),
    links: new Set(links.filter((link) => link.use !== 'undrawn').map((link) => linkKey(link.a, link.b))),
  };
}

export function withRole(draft: Draft, node: string, role: NodeRole | null): Draft {
  const roles = new Map(draft.roles);
  if (role === null) roles.delete(node);
  else roles.set(node, role);
  return { ...draft, roles };
}

export function withLink(draft: Draft, key: string, isDrawn: boolean): Draft {
  const links = new Set(draft.links);
  if (isDrawn) links.add(key);
  else links.delete(key);
  return { ...draft, links };
}

/** The request body. A link whose ends are not both drawn stays in the draft but is not sent. */
export function bodyOf(draft: Draft, { topology, links }: Overlay): NewTopology {
  const nodes = topology.nodes.flatMap(({ name }) => {
    const role = draft.roles.get(name);
    return role === undefined ? [] : [{ name, role }];
  });
  const isSent = ({ a, b }: OverlayLink): boolean =>
    draft.links.has(linkKey(a, b)) && draft.roles.has(a) && draft.roles.has(b);
  return { nodes, links: links.filter(isSent).map(({ a, b }) => ({ a, b })) };
}

/** The problems of a refused drawing by place: nodes, links by `linkKey`, or the rest. */
export interface Problems {
  nodes: ReadonlyMap<string, string[]>;
  links: ReadonlyMap<string, string[]>;
  rest: string[];
}

export function problemsIn(details: Readonly<Record<string, unknown>>): string[] {
  const problems = details['problems'];
  return Array.isArray(problems) ? problems.filter((one): one is string => typeof one === 'string') : [];
}

export function sortProblems(problems: readonly string[], { topology, links }: Overlay): Problems {
  const titles = new Map<string, ['nodes' | 'links', string]>();
  for (const { name } of topology.nodes) {
    titles.set(`node ${name}`, ['nodes', name]);
    titles.set(`leaf ${name}`, ['nodes', name]);
  }
  for (const { a, b } of links) {
    titles.set(`link ${a}-${b}`, ['links', linkKey(a, b)]);
    titles.set(`link ${b}-${a}`, ['links', linkKey(a, b)]);
  }
  const sorted = { nodes: new Map<string, string[]>(), links: new Map<string, string[]>(), rest: [] as string[] };
  for (const problem of problems) {
    const colon = problem.indexOf(': ');
    const place = titles.get(problem.slice(0, Math.max(0, colon)));
    if (!place) {
      sorted.rest.push(problem);
      continue;
    }
    const [where, key] = place;
    sorted[where].set(key, [...(sorted[where].get(key) ?? []), problem.slice(colon + 2)]);
  }
  return sorted;
}
