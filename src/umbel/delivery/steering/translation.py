"""Between the live platform and the planner: nodes and viewers in, a Problem out; a plan in, what
the policies may use of it out. Pure.

Live streams are passed on, not encoded per viewer: a viewer costs a little CPU and the stream's
one rate; a rendition's viewers also share its transcoder. The smallest node counts as one
server, and a vCPU is a twelfth of it, of its CPU or of what it may send, whichever is short. Core
nodes carry no edges; one at rest is bypassed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from umbel.compute.model import Node, NodeKind
from umbel.delivery.guidance import (
    POWER,
    VCPUS_PER_SERVER,
    Steering,
    Units,
    Watch,
    servers_of,
    units_of,
)
from umbel.network.model import Topology
from umbel.planner import drift
from umbel.planner import problem as planner
from umbel.planner.admission import Guide
from umbel.planner.problem import Access, Kind, Problem, Resolution
from umbel.planner.result import Plan

ROUTING = planner.Routing(ends_relay=True, ends_serve_others=True)
# What a function costs before its first viewer is not in the model.
_HEADROOM = 1.25
# A feed is one copy for all viewers of a node; the model fetches by viewer, for as long as this.
_WATCH_S = 60.0
_MBIT_PER_GB = 8000.0
_PLENTY_GB, _NOTHING_GB, _CONTENT_GB = 1e6, 1e-6, 1.0

# What the model's content types stand for here: streams passed on as they came, and renditions,
# whose viewers share the CPU of making them.
_SENT, _MADE = Kind.SPORT, Kind.MOVIE


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
        (access, stream, audience.resolution[stream], node): count
        for (stream, access, node), count in audience.watching.items()
    }


def peak_of(audience: Audience, samples: Collection[drift.Sample]) -> Audience:
    """The audience with the most of each count that was seen, as the demand to plan for. An stream
    that is over is left out."""
    most = drift.peak([*samples, sample_of(audience)])
    watching: dict[Watch, float] = {}
    for (access, stream, _, node), count in most.items():
        if stream in audience.resolution:
            key = (stream, access, node)
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
    for (stream, access, _), count in sorted(audience.watching.items()):
        if count > 0:
            counts[stream, access] = counts.get((stream, access), 0.0) + count
            totals[stream] = totals.get(stream, 0.0) + count
    return planner.Demand(
        contents=tuple(
            planner.Content(
                name=stream,
                kind=_MADE if stream in audience.made else _SENT,
                size_gb=_CONTENT_GB,
                mean_gb=_fed_gb(audience.mbps[stream], total),
            )
            for stream, total in totals.items()
        ),
        bundles=tuple(
            planner.Bundle(
                end=access,
                content=stream,
                resolution=audience.resolution[stream],
                parallel=count,
                watch_s=_WATCH_S,
            )
            for (stream, access), count in counts.items()
        ),
    )
