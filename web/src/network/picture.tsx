// The network as a picture: links by load, an event's tree in motion over them, functions at their nodes.

import { type SVGProps, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { t } from '../i18n/t';
import { formatMbps } from '../kit/format';
import type { FunctionStatus, LinkStatus, NodeRole, NodeStatus, Tree } from '../kit/types';
import { isCore, layout, linkKey, linkWidth, loadClass, type Point } from './layout';
import { FUNCTION_STATES, NODE_WORDS, roleName } from './numbers';
import type { LinkLook, Marks } from './overlay';

/** Shows a node's rules, or closes them where they are shown. `byKeys`: the focus is to follow. */
export type OpenNode = (name: string, byKeys: boolean) => void;

export interface Picture {
  nodes: NodeStatus[];
  links: LinkStatus[];
  functions: FunctionStatus[];
  tree: Tree | null;
  /** The overlay's drawing; null where Umbel does not program the switches. */
  marks?: Marks | null;
  /** A stream of the operator's own, shown instead of a tree. */
  stream?: { name: string; links: [string, string][] } | null;
  chosen?: string | null;
  onNode?: OpenNode;
}

const RADIUS = 26;
const FLOW_ASIDE = 8;
/** The element's width, as it changes. */
function useWidth(): [(element: HTMLDivElement | null) => void, number] {
  const [element, setElement] = useState<HTMLDivElement | null>(null);
  const [width, setWidth] = useState(0);
  const observer = useRef<ResizeObserver | null>(null);
  // Before the first paint: what is below the picture would be pushed down.
  useLayoutEffect(() => {
    if (element) setWidth(element.clientWidth);
  }, [element]);
  useEffect(() => {
    if (!element) return undefined;
    observer.current = new ResizeObserver(([entry]) => {
      setWidth(Math.floor(entry?.contentRect.width ?? 0));
    });
    observer.current.observe(element);
    return () => observer.current?.disconnect();
  }, [element]);
  return [setElement, width];
}

interface LinkProps {
  link: LinkStatus;
  from: Point;
  to: Point;
  onTree: boolean;
  look: LinkLook | null;
}

function Link({ link, from, to, onTree, look }: LinkProps) {
  const share = link.mbps > 0 ? link.used_mbps / link.mbps : 0;
  return (
    <line
      className={`link link-${loadClass(share)}${link.used_mbps > 0 ? ' link-used' : ''}${onTree ? ' link-tree' : ''}${look ? ` look-${look}` : ''}`}
      x1={from.x}
      y1={from.y}
      x2={to.x}
      y2={to.y}
      strokeWidth={linkWidth(share)}
    />
  );
}

function LinkLabel({ link, from, to }: { link: LinkStatus; from: Point; to: Point }) {
  if (link.used_mbps <= 0) return null;
  const text = formatMbps(link.used_mbps);
  const width = text.length * 6.2 + 12;
  return (
    <g className="link-label" transform={`translate(${String((from.x + to.x) / 2)} ${String((from.y + to.y) / 2)})`}>
      <rect x={-width / 2} y={-9} width={width} height={18} rx={9} />
      <text textAnchor="middle" dominantBaseline="central">
        {text}
      </text>
    </g>
  );
}

/** A stream on one link, moving in its direction: next to the link, and short of the nodes. */
function Flow({ from, to }: { from: Point; to: Point }) {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const length = Math.hypot(dx, dy) || 1;
  const cut = (RADIUS + 6) / length;
  const aside = { x: (dy / length) * FLOW_ASIDE, y: (-dx / length) * FLOW_ASIDE };
  const point = (t: number): string =>
    `${(from.x + dx * t + aside.x).toFixed(1)} ${(from.y + dy * t + aside.y).toFixed(1)}`;
  return <path className="flow" d={`M${point(cut)}L${point(1 - cut)}`} markerEnd="url(#flow-head)" />;
}

interface BadgeText {
  key: string;
  text: string;
  kind: string;
}

function badgesOf(functions: readonly FunctionStatus[], tree: Tree | null): BadgeText[] {
  return functions.map((fn) => {
    const inTree = tree?.branches.some((branch) => branch.function === fn.id) === true;
    const audience = fn.role === 'edge' && fn.viewers > 0 ? ` · ${String(fn.viewers)}` : '';
    const state = fn.state === 'active' ? '' : ` (${t(FUNCTION_STATES[fn.state].text)})`;
    const health = fn.state === 'failed' ? 'failed' : inTree ? 'on' : 'off';
    return { key: fn.id, text: `${roleName(fn.role)}${audience}${state}`, kind: health };
  });
}

function Badges({ badges, at, below }: { badges: BadgeText[]; at: Point; below: boolean }) {
  return badges.map((badge, n) => {
    const width = badge.text.length * 6.3 + 14;
    const y = below ? at.y + RADIUS + 15 + n * 22 : at.y - RADIUS - 15 - n * 22;
    return (
      <g key={badge.key} className={`fn fn-${badge.kind}`} transform={`translate(${String(at.x)} ${String(y)})`}>
        <rect x={-width / 2} y={-9.5} width={width} height={19} rx={9.5} />
        <text textAnchor="middle" dominantBaseline="central">
          {badge.text}
        </text>
      </g>
    );
  });
}

const DRAWN_ROLES = { root: 'role.root', relay: 'role.relay', leaf: 'role.leaf' } as const;

const drawnRole = (role: NodeRole): string | null => (role === 'none' ? null : t(DRAWN_ROLES[role]));

interface NodeProps {
  node: NodeStatus;
  at: Point;
  onTree: boolean;
  role: NodeRole | null;
  away: boolean;
  chosen: boolean;
  onNode: OpenNode | null;
}

/** What makes a drawn node a button: SVG has none. */
function buttonOf(name: string, text: string, chosen: boolean, onNode: OpenNode): SVGProps<SVGGElement> {
  return {
    role: 'button',
    tabIndex: 0,
    'aria-label': t('picture.showRules', { node: text }),
    'aria-pressed': chosen,
    // Screen readers press without a pointer, and without keys that a page sees.
    onClick: ({ detail }) => {
      onNode(name, detail === 0);
    },
    onKeyDown: (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      if (!event.repeat) onNode(name, true);
    },
  };
}

/** A node, with a ring for the share of its cores in use and its role in the drawn tree. */
function Node({ node, at, onTree, role, away, chosen, onNode }: NodeProps) {
  const share = node.cores > 0 ? Math.min(1, node.cores_used / node.cores) : 0;
  // Its state in words comes before its role: an operator acts on it.
  const label = node.state !== 'ready' ? t(NODE_WORDS[node.state]) : role === null ? null : drawnRole(role);
  const text = label === null ? node.name : `${node.name}, ${label}`;
  const round = 2 * Math.PI * RADIUS;
  return (
    <g
      className={`node node-${node.state}${isCore(node) ? ' node-core' : ''}${onTree ? ' node-tree' : ''}${away ? ' node-away' : ''}${chosen ? ' node-chosen' : ''}${onNode ? ' node-open' : ''}`}
      transform={`translate(${String(at.x)} ${String(at.y)})`}
      {...(onNode && buttonOf(node.name, text, chosen, onNode))}
    >
      {onNode && <circle className="node-ring" r={RADIUS + 6} />}
      <circle className="node-body" r={RADIUS} />
      <circle
        className={`node-load load-${loadClass(share)}`}
        r={RADIUS}
        transform="rotate(-90)"
        strokeDasharray={`${(round * share).toFixed(1)} ${round.toFixed(1)}`}
      />
      <text textAnchor="middle" dominantBaseline="central" y={label === null ? 0 : -4}>
        {node.name}
      </text>
      {label !== null && (
        <text className="node-role" textAnchor="middle" dominantBaseline="central" y={11}>
          {label}
        </text>
      )}
    </g>
  );
}

const hops = (edges: readonly [string, string][]): string =>
  edges.length === 0 ? t('picture.noFurther') : edges.map(([from, to]) => t('picture.hop', { from, to })).join(', ');

function summary({ nodes, tree, stream }: Picture): string {
  const base = t('picture.base', { count: nodes.length });
  const joined = (rest: string): string => `${base} ${rest}`;
  if (stream) return joined(t('picture.stream', { name: stream.name, hops: hops(stream.links) }));
  if (!tree || tree.branches.length === 0) return joined(t('picture.noTree'));
  return joined(t('picture.tree', { root: tree.root ?? t('picture.noNode'), hops: hops(tree.edges) }));
}

export function NetworkPicture(picture: Picture) {
  const { nodes, links, functions, tree, marks, stream, chosen, onNode } = picture;
  const [measure, width] = useWidth();
  const narrow = width < 600;
  const height = Math.round(narrow ? width * 1.55 : Math.min(540, width * 0.56));
  const points = layout(nodes, links, width, height, narrow ? { x: 44, y: 56 } : { x: 84, y: 72 });
  const at = (name: string): Point | null => points.get(name) ?? null;
  const flows = (stream?.links ?? tree?.edges ?? []).flatMap(([a, b]) => {
    const from = at(a);
    const to = at(b);
    return from && to ? [{ key: `${a} ${b}`, pair: linkKey(a, b), from, to }] : [];
  });
  const treeLinks = new Set(flows.map((flow) => flow.pair));
  const treeNodes = new Set(stream ? stream.links.flat() : tree?.branches.map((branch) => branch.node));
  const drawn = links.flatMap((link) => {
    const from = at(link.a);
    const to = at(link.b);
    return from && to ? [{ link, from, to, key: linkKey(link.a, link.b) }] : [];
  });
  return (
    <div ref={measure} className="picture">
      {width > 0 && (
        <svg
          width={width}
          height={height}
          viewBox={`0 0 ${String(width)} ${String(height)}`}
          role={onNode ? 'group' : 'img'}
          aria-label={summary(picture)}
        >
          <defs>
            <marker
              id="flow-head"
              viewBox="0 0 10 10"
              refX="7"
              refY="5"
              markerWidth="9"
              markerHeight="9"
              markerUnits="userSpaceOnUse"
              orient="auto"
            >
              <path className="flow-head" d="M0 0 10 5 0 10z" />
            </marker>
          </defs>
          {/* biome-ignore lint/a11y/noAriaHiddenOnFocusable: a g takes no focus; the tables have it in words */}
          <g aria-hidden="true">
            {drawn.map(({ key, ...line }) => (
              <Link key={key} {...line} onTree={treeLinks.has(key)} look={marks?.looks.get(key) ?? null} />
            ))}
            {flows.map((flow) => (
              <Flow key={flow.key} from={flow.from} to={flow.to} />
            ))}
            {drawn.map(({ key, ...line }) => (
              <LinkLabel key={key} {...line} />
            ))}
          </g>
          {nodes.map((node) => {
            const point = at(node.name);
            return (
              point && (
                <Node
                  key={node.name}
                  node={node}
                  at={point}
                  onTree={treeNodes.has(node.name)}
                  role={marks?.roles.get(node.name) ?? null}
                  away={marks?.disconnected.has(node.name) === true}
                  chosen={chosen === node.name}
                  onNode={onNode ?? null}
                />
              )
            );
          })}
          {/* biome-ignore lint/a11y/noAriaHiddenOnFocusable: a g takes no focus; the tables have it in words */}
          <g aria-hidden="true">
            {nodes.map((node) => {
              const point = at(node.name);
              const badges = badgesOf(
                functions.filter((fn) => fn.node === node.name),
                stream ? null : tree,
              );
              return point && <Badges key={node.name} badges={badges} at={point} below={point.y >= height / 2 - 1} />;
            })}
          </g>
        </svg>
      )}
    </div>
  );
}
