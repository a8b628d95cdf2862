"""Between the live platform and the planner: nodes and viewers in, a Problem out; a plan in, what
the policies may use of it out. Pure.

Live streams are passed on, not encoded per viewer: a viewer costs a little CPU and the stream's
one rate; a rendition's viewers share its transcoder besides. The smallest node counts as one
server, and a vCPU is a twelfth of it, of its CPU or of what it may send, whichever is short. Core
nodes carry no edges; one at rest is bypassed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from umbel.compute.model import Node, NodeKind, NodeState
from umbel.network.model import Topology
from umbel.planner import drift, presets
from umbel.planner import problem as planner
from umbel.planner.admission import Guide
from umbel.planner.problem import Access, Kind, Problem, Resolution
from umbel.planner.result import Plan

VCPUS_PER_SERVER = 12
POWER = presets.PAPER_POWER
ROUTING = planner.Routing(ends_relay=True, ends_serve_others=True)
# What a function costs before its first viewer is not in the model.
_HEADROOM = 1.25
_WHOLE = 1e-9
# A feed is one copy for all viewers of a node; the model fetches by viewer, for as long as this.
_WATCH_S = 60.0
_MBIT_PER_GB = 8000.0
_PLENTY_GB, _NOTHING_GB, _CONTENT_GB = 1e6, 1e-6, 1.0
_HEIGHTS = ((360, Resolution.R360), (720, Resolution.R720), (1080, Resolution.R1080))

# What the model's content types stand for here: streams passed on as they came, and renditions,
# whose viewers share the CPU of making them.
_SENT, _MADE = Kind.SPORT, Kind.MOVIE

Watch = tuple[str, str, str]
"""Stream, access node, and the node that serves (empty: nobody did)."""


@dataclass(frozen=True, kw_only=True)
class Audience:
    """How many watch, and what: rate in Mbit/s and resolution by stream; for renditions the CPU
    cores that one transcoder takes, too."""

    watching: Mapping[Watch, float]
    mbps: Mapping[str, float]
    resolution: Mapping[str, Resolution]
    made: Mapping[str, float] = field(default_factory=dict)

    def viewers(self, stream: str) -> float:
        """How many watch it, wherever they are."""
        return sum(count for (watched, _, _), count in self.watching.items() if watched == stream)


@dataclass(frozen=True, kw_only=True)
class Units:
    """What one vCPU of the planner stands for: CPU cores, and Mbit/s sent."""

    cores: float
    mbps: float

    def vcpus(self, cores: float, mbps: float) -> float:
        """How many vCPUs a use of both resources counts as."""
        return max(cores / self.cores, mbps / self.mbps)

    def room(self, cores: float, mbps: float) -> float:
        """How many vCPUs are free where so much of both resources is."""
        return min(cores / self.cores, mbps / self.mbps)


@dataclass(frozen=True, kw_only=True)
class Steering:
    """The plan in force: what Algorithm 2 reads of it, what rests by it, and its units."""

    plan: Plan
    guide: Guide
    resting: frozenset[str]
    units: Units
    resolution: Mapping[str, Resolution] = field(default_factory=dict)


def resolution_of(height: int) -> Resolution:
    """The resolution that a picture's height counts as; of an unknown one (0), 720p."""
    if height <= 0:
        return Resolution.R720
    return next((r for most, r in _HEIGHTS if height <= most), Resolution.R2160)


def units_of(nodes: Collection[Node]) -> Units:
    """A twelfth of the smallest node's CPU, and of the least that a node may send."""
    return Units(
        cores=min(node.cores for node in nodes) / VCPUS_PER_SERVER,
        mbps=min(node.mbps for node in nodes) / VCPUS_PER_SERVER,
    )


def servers_of(node: Node, units: Units) -> int:
    """How many servers a node counts as."""
    return max(1, int(units.room(node.cores, node.mbps) / VCPUS_PER_SERVER + _WHOLE))


def problem_of(
    nodes: Collection[Node],
    topology: Topology,
    viewer_cores: float,
    audience: Audience,
    serving: Collection[str],
) -> Problem:
    """The planning problem when only `serving` nodes may run edges."""
    units = units_of(nodes)
    known = {
        (kind, resolution): _encoding(audience, kind, resolution, viewer_cores, units)
        for kind in Kind
        for resolution in Resolution
    }
    qoe = planner.QoeModel(
        known=known,
        unknown={resolution: known[_SENT, resolution] for resolution in Resolution},
        unknown_share=0.0,
    )
    return Problem(
        network=_network(nodes, topology, serving),
        demand=_demand(audience),
        qoe=qoe,
        routing=ROUTING,
        power=POWER,
        miss_share=1.0,
    )


def sample_of(audience: Audience) -> dict[drift.Key, float]:
    """What monitoring keeps of a moment."""
    return {
        (access, event, audience.resolution[event], node): count
        for (event, access, node), count in audience.watching.items()
    }


def peak_of(audience: Audience, samples: Collection[drift.Sample]) -> Audience:
    """The audience with the most of each count that was seen, as the demand to plan for. An event
    that is over is left out."""
    most = drift.peak([*samples, sample_of(audience)])
    watching: dict[Watch, float] = {}
    for (access, event, _, node), count in most.items():
        if event in audience.resolution:
            key = (event, access, node)
            watching[key] = max(watching.get(key, 0.0), count)
    return replace(audience, watching=watching)


def steering_of(
    plan: Plan,
    guide: Guide,
    nodes: Collection[Node],
    needed: Collection[str],
) -> Steering:
    """The plan as the platform uses it. `needed` nodes never rest: an encoder pushes there. One
    node of access stays on even when nobody watches, so that the first viewer need not wait."""
    on = {n.name for n in plan.infrastructure.nodes if n.servers}
    on |= {
        n.name
        for n, node in zip(plan.infrastructure.nodes, guide.problem.network.nodes, strict=True)
        if n.router_on and node.access is Access.TRANSIT
    }
    on.update(needed)
    access = [node.name for node in nodes if node.kind is NodeKind.PROVIDER_EDGE]
    if access and on.isdisjoint(access):
        on.add(access[0])
    return Steering(
        plan=plan,
        guide=guide,
        resting=frozenset(node.name for node in nodes) - on,
        units=units_of(nodes),
        resolution={bundle.content: bundle.resolution for bundle in guide.problem.demand.bundles},
    )


def watts(node: Node, units: Units, state: NodeState, used_vcpus: float) -> float:
    """What a node draws by the power model (1c, 1d). An access node at rest still switches and
    routes for its clients; a core node at rest is bypassed."""
    network_w = POWER.switch_w + POWER.router_w
    if state is NodeState.STANDBY:
        return network_w if node.kind is NodeKind.PROVIDER_EDGE else 0.0
    return network_w + POWER.server_w * servers_of(node, units) + POWER.vcpu_w * used_vcpus


def _encoding(
    audience: Audience, kind: Kind, resolution: Resolution, viewer_cores: float, units: Units
) -> planner.Encoding:
    """What a viewer of such a stream takes; of several streams the most."""
    streams = [s for s, r in audience.resolution.items() if r is resolution]
    if kind is _MADE:
        streams = [s for s in streams if s in audience.made]
    mbps = max((audience.mbps[s] for s in streams), default=1.0)
    making = max(
        (audience.made[s] / max(1.0, audience.viewers(s)) for s in streams if kind is _MADE),
        default=0.0,
    )
    return planner.Encoding(
        min_mbps=mbps,
        max_mbps=mbps,
        score=1.0,
        vcpus=units.vcpus(viewer_cores + making, mbps) * _HEADROOM,
    )


def _network(
    nodes: Collection[Node], topology: Topology, serving: Collection[str]
) -> planner.Network:
    units = units_of(nodes)
    unit_mbps = min((link.mbps for link in topology.links), default=1.0)
    return planner.Network(
        nodes=tuple(
            planner.Node(
                name=node.name,
                access=Access.FIXED if node.kind is NodeKind.PROVIDER_EDGE else Access.TRANSIT,
                servers=servers_of(node, units),
                storage_gb=_PLENTY_GB if node.name in serving else _NOTHING_GB,
                connectivity_mbps=_NOTHING_GB,
            )
            for node in nodes
        ),
        links=tuple(
            planner.Link(a=link.a, b=link.b, lightpaths=max(1, int(link.mbps / unit_mbps)))
            for link in topology.links
        ),
        pop=_centre(nodes, topology),
        vcpus_per_server=VCPUS_PER_SERVER,
        lightpath_mbps=max(1.0, unit_mbps),
        bypass_lightpaths=1,
    )


def _centre(nodes: Collection[Node], topology: Topology) -> str:
    """The node that stands for where contents come from: the core node (any, without one) with
    the fewest hops to all others. Providers are everywhere, and the model knows one place."""
    near: dict[str, set[str]] = {node.name: set() for node in nodes}
    for link in topology.links:
        near[link.a].add(link.b)
        near[link.b].add(link.a)
    core = [node.name for node in nodes if node.kind is NodeKind.CORE]
    return min(core or near, key=lambda name: (_total_hops(near, name), name))


def _total_hops(near: Mapping[str, set[str]], start: str) -> int:
    hops, queue = {start: 0}, [start]
    for name in queue:
        for other in near[name]:
            if other not in hops:
                hops[other] = hops[name] + 1
                queue.append(other)
    return sum(hops.values())


def _fed_gb(mbps: float, viewers: float) -> float:
    """What each viewer's miss fetches, so that all of them together fetch one copy."""
    share_gb = mbps * _WATCH_S / (_MBIT_PER_GB * viewers)
    return min(_CONTENT_GB, max(_NOTHING_GB, share_gb))


def _demand(audience: Audience) -> planner.Demand:
    counts: dict[tuple[str, str], float] = {}
    totals: dict[str, float] = {}
    for (event, access, _), count in sorted(audience.watching.items()):
        if count > 0:
            counts[event, access] = counts.get((event, access), 0.0) + count
            totals[event] = totals.get(event, 0.0) + count
    return planner.Demand(
        contents=tuple(
            planner.Content(
                name=event,
                kind=_MADE if event in audience.made else _SENT,
                size_gb=_CONTENT_GB,
                mean_gb=_fed_gb(audience.mbps[event], total),
            )
            for event, total in totals.items()
        ),
        bundles=tuple(
            planner.Bundle(
                end=access,
                content=event,
                resolution=audience.resolution[event],
                parallel=count,
                watch_s=_WATCH_S,
            )
            for (event, access), count in counts.items()
        ),
    )
