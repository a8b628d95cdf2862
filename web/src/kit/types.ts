// The portal's JSON, as this app reads it. Times are RFC 3339 texts in UTC.

export type EventState = 'scheduled' | 'open' | 'live' | 'ended' | 'cancelled';

export interface StreamStatus {
  flowing: boolean;
  protocol: string;
  video: string;
  audio: string;
  width: number;
  height: number;
  /** Why the acquirer re-encodes; empty when it passes the stream through. */
  transcoding: string;
  error: string;
  mbps: number;
  viewers: number;
  /** What viewers may ask for, best first, beginning with "source"; absent where there is no choice. */
  qualities?: string[];
}

export interface LiveEvent {
  id: string;
  provider_id: string;
  provider_name: string;
  title: string;
  description: string;
  starts_at: string;
  ends_at: string;
  state: EventState;
  version: number;
  stream: StreamStatus | null;
}

export interface Provider {
  id: string;
  name: string;
  access_node: string;
}

export interface Me {
  username: string;
  role: 'viewer' | 'provider' | 'operator';
  provider_id: string | null;
}

export interface Session {
  id: string;
  /** The node that serves this viewer. */
  edge: string;
  whep: string;
  /** May lack the token; withToken sees to it. */
  hls: string;
  token: string;
  expires_at: string;
  /** What it is of; absent where there is no choice. */
  quality?: string;
}

export interface Ingest {
  node: string;
  /** Each null where the acquirer does not take it. */
  rtmp: string | null;
  srt: string | null;
  whip: string | null;
  rtp: { address: string; port: number; mpegts: { address: string; port: number } | null } | null;
  /** Only in the first answer for an event. */
  stream_key: string | null;
}

export interface NodeStatus {
  name: string;
  kind: string;
  address: string;
  cores: number;
  cores_used: number;
  memory_mb: number;
  memory_used_mb: number;
  mbps: number;
  mbps_used: number;
  state: string;
  watts: number;
}

export interface LinkStatus {
  a: string;
  b: string;
  mbps: number;
  used_mbps: number;
}

export interface FunctionStatus {
  id: string;
  role: string;
  node: string;
  state: string;
  address: string;
  cpu_cores: number;
  rss_mb: number;
  events: string[];
  viewers: number;
  mbps_out: number;
}

export interface Branch {
  function: string;
  role: string;
  node: string;
  parent: string | null;
}

export interface Tree {
  event_id: string;
  root: string | null;
  branches: Branch[];
  edges: [string, string][];
  hops: number;
}

export interface NewEvent {
  provider_id: string;
  title: string;
  description: string;
  starts_at: string;
  ends_at: string;
}

export type NodeRole = 'root' | 'relay' | 'leaf' | 'none';

/** What is drawn over the network. `programmed` is false where no switches are Umbel's to program. */
export interface Topology {
  programmed: boolean;
  root: string | null;
  nodes: { name: string; role: NodeRole | null; parent: string | null; in_tree: boolean }[];
  tree: [string, string][];
  spare: [string, string][];
  cut: string[];
}

export interface NewTopology {
  nodes: { name: string; role: NodeRole }[];
  links: { a: string; b: string }[];
}

export interface SwitchStatus {
  node: string;
  datapath_id: string;
  connected: boolean;
  ports: { number: number; name: string; live: boolean }[];
}

export interface OverlayLink extends LinkStatus {
  delay_ms: number;
  use: 'tree' | 'spare' | 'cut' | 'undrawn';
  state: 'up' | 'down' | 'unwatched';
  tunnel: boolean;
  streams: string[];
}

export interface PathEnd {
  leaf: string;
  receiver: { kind: 'unicast' | 'multicast' | 'broadcast'; address: string; mac: string | null; port: number | null };
}

export interface NetworkPath extends PathEnd {
  id: string;
  asked_at: string;
  stream: string;
  root: string;
  sender: 'inside' | 'outside';
  target: { address: string; port: number };
  carried: boolean;
  /** Why it is not carried as it should be; empty when it is. */
  error: string;
  links: [string, string][];
  moving: PathEnd | null;
}

export interface NewPath {
  stream: string;
  root: string;
  sender: 'inside' | 'outside';
  leaf: string;
  receiver: { address: string; mac?: string; port?: number };
}

/** A rule of a switch and what it is for. */
export interface Rule {
  node: string;
  table: number;
  step: string;
  priority: number;
  match: Record<string, string>;
  stream: string | null;
  root: string | null;
  leaves: string[];
  says: string;
}

interface Traffic {
  packets: number;
  bytes: number;
  drops: number;
  mbps: number;
  drops_per_s: number;
}

export interface Slice {
  id: string;
  grade: string;
  event_id: string | null;
  functions: string[] | null;
  events: string[];
  min_mbps: number;
  max_mbps: number;
  guaranteed: boolean;
  offered: Traffic;
}

/** Who is told of the network's events, and how it does. */
export interface Callback {
  id: string;
  url: string;
  kinds: string[];
  note: string;
  state: 'active' | 'failing' | 'dead';
  waiting: number;
  delivered: number;
  dropped: number;
  failures: number;
  last_error: string;
  retry_at: string | null;
}
