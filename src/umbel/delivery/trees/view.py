"""A snapshot of the operator's network for the policies: what there is and what is still free.

In: values gathered by the collector. Out: questions answered ("does another viewer fit here?").
Free is capacity minus what is measured and minus what was promised but is not measured yet.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from umbel.compute.model import NoSuchNode
from umbel.delivery.guidance import Steering, Watch
from umbel.delivery.model import RECORDER, Branch, Tree
from umbel.delivery.trees import renditions
from umbel.kit.errors import Exhausted
from umbel.network.model import Route
from umbel.planner.admission import Reason

EDGE, FORWARDER, ACQUIRER, TRANSCODER = "edge", "forwarder", "acquirer", "transcoder"
_WHY: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.CPU: "there is no CPU left",
        Reason.BANDWIDTH: "there is no bandwidth left",
        Reason.UNREACHABLE: "no edge that has room can be reached",
    }
)


class NoCapacity(Exhausted):
    """No edge can take another viewer of this stream now; try again shortly."""

    code = "umbel.no_capacity"


class Routes(Protocol):
    """Ways over the operator's links; `network.service.Network` is one."""

    def path(self, a: str, b: str) -> Route:
        """The best way from a to b, both included."""

    def nearest(self, node: str) -> tuple[Route, ...]:
        """The ways to every other node that can be reached, nearest first."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What is promised for a thing that is not measured yet. `server_cores` is the most that a
    media server can use, however many cores its node has: it is one process with one busy core. A
    recorder keeps up to 128 MiB of a stream."""

    server_cores: float = 1.0
    viewer_cores: float = 0.004
    stream_cores: float = 0.02
    function_cores: float = 0.05
    function_mb: float = 120.0
    transcoder_cores: float = 0.25
    transcoder_mb: float = 200.0
    recorder_mb: float = 250.0
    stream_mb: float = 10.0
    stream_mbps: float = 3.0

    def mbps_of(self, stream: str) -> float:
        """What a stream is to be sent at, a rendition at its step of the ladder."""
        return renditions.LADDER_MBPS.get(renditions.height_of(stream), self.stream_mbps)

    def cores_of(self, role: str) -> float:
        """What a function of that role is to use once it does its work."""
        return self.transcoder_cores if role == TRANSCODER else self.function_cores

    def mb_of(self, role: str) -> float:
        """And the memory it is to use."""
        by_role = {TRANSCODER: self.transcoder_mb, RECORDER: self.recorder_mb}
        return by_role.get(role, self.function_mb)


@dataclass(frozen=True, kw_only=True)
class NodeView:
    """A node's free room: CPU cores, MiB, and Mbit/s its functions may still send. Nothing new is
    placed on a closed node: it is in standby, about to be, or wakes, or it is cordoned. All leaves
    an evicted one: its deadline to be empty has passed."""

    name: str
    is_access: bool
    cores_free: float
    memory_free_mb: float
    mbps_free: float
    is_closed: bool = False
    is_evicted: bool = False


@dataclass(frozen=True, kw_only=True)
class FunctionView:
    """A function that runs or is about to: `load` is its share of its node's cores, `cores_free`
    the CPU cores that it can still use itself (`Costs.server_cores`), if its node has them."""

    id: str
    role: str
    node: str
    usable: bool = True
    streams: frozenset[str] = frozenset()
    load: float = 0.0
    cores_free: float = 1.0
    viewers: int = 0


@dataclass(frozen=True, kw_only=True)
class View:
    """Everything a policy may look at."""

    routes: Routes
    nodes: Mapping[str, NodeView]
    functions: Mapping[str, FunctionView] = field(default_factory=dict)
    taken_ids: frozenset[str] = frozenset()
    trees: Mapping[str, Tree] = field(default_factory=dict)
    links_free_mbps: Mapping[frozenset[str], float] = field(default_factory=dict)
    stream_mbps: Mapping[str, float] = field(default_factory=dict)
    broken_nodes: frozenset[str] = frozenset()
    avoided_nodes: frozenset[str] = frozenset()
    """Whose edges the viewer who asks must not get, though they serve others."""
    costs: Costs = Costs()
    copies: bool = False
    """Whether the network copies streams by itself where ways part."""
    steering: Steering | None = None
    watching: Mapping[Watch, int] = field(default_factory=dict)

    def node(self, name: str) -> NodeView:
        """The node. Raises NoSuchNode."""
        try:
            return self.nodes[name]
        except KeyError:
            raise NoSuchNode(f"no node is named {name!r}", node=name) from None

    def mbps(self, stream: str) -> float:
        """The stream's rate: measured, or what is promised for an unmeasured one."""
        return self.stream_mbps.get(stream) or self.costs.mbps_of(stream)

    def edges_at(self, nodes: Iterable[str]) -> list[FunctionView]:
        """The usable edges of the nodes, in the nodes' order, those of one node by name."""
        place = {node: number for number, node in enumerate(nodes)}
        here = (f for f in self.functions.values() if f.node in place and f.role == EDGE)
        return sorted((f for f in here if f.usable), key=lambda f: (place[f.node], f.id))

    def fits_viewer(self, edge: FunctionView, stream: str) -> bool:
        """Whether the edge and its node have CPU and rate for one more viewer of a stream that the
        edge carries."""
        return self._fits(edge, stream, self.costs.viewer_cores)

    def fits_stream(self, edge: FunctionView, stream: str) -> bool:
        """Whether the edge and its node can take another stream and a first viewer of it."""
        costs = self.costs
        has_memory = self.node(edge.node).memory_free_mb >= costs.stream_mb
        return has_memory and self._fits(edge, stream, costs.stream_cores + costs.viewer_cores)

    def fits_edge(self, node: str, stream: str) -> bool:
        """Whether another edge can be started on the node, with the stream and a first viewer."""
        room, costs = self.node(node), self.costs
        cores = costs.function_cores + costs.stream_cores + costs.viewer_cores
        has_room = room.cores_free >= cores and room.mbps_free >= self.mbps(stream)
        is_allowed = room.is_access and node not in self.avoided_nodes
        return is_allowed and has_room and self.fits_function(node)

    def _fits(self, edge: FunctionView, stream: str, cores: float) -> bool:
        room = self.node(edge.node)
        has_cores = min(room.cores_free, edge.cores_free) >= cores
        is_allowed = edge.node not in self.avoided_nodes
        return (
            is_allowed and has_cores and room.mbps_free >= self.mbps(stream) and not room.is_closed
        )

    def fits_function(self, node: str) -> bool:
        """Whether another function can be started on the node."""
        return self.functions_that_fit(node) > 0

    def functions_that_fit(self, node: str) -> int:
        """How many more functions can be started on the node."""
        room, costs = self.node(node), self.costs
        if node in self.broken_nodes or room.is_closed:
            return 0
        by_cores = room.cores_free // (costs.function_cores + costs.stream_cores)
        return max(0, int(min(by_cores, room.memory_free_mb // costs.function_mb)))

    def fits_transcoder(self, node: str, stream: str) -> bool:
        """Whether another transcoder can be started on the node, to make the stream."""
        room, costs = self.node(node), self.costs
        return (
            node not in self.broken_nodes
            and not room.is_closed
            and room.cores_free >= costs.transcoder_cores
            and room.memory_free_mb >= costs.transcoder_mb
            and room.mbps_free >= self.mbps(stream)
        )

    def fits_recorder(self, node: str, stream: str) -> bool:
        """Whether another recorder can be started on the node, with the stream."""
        room, costs = self.node(node), self.costs
        has_room = room.memory_free_mb >= costs.recorder_mb and room.mbps_free >= self.mbps(stream)
        return has_room and self.fits_function(node)

    def fits_recording(self, recorder: FunctionView, stream: str) -> bool:
        """Whether the recorder and its node can take another stream."""
        room, costs = self.node(recorder.node), self.costs
        more_mb = costs.recorder_mb - costs.function_mb
        return (
            recorder.node not in self.broken_nodes
            and not room.is_closed
            and min(room.cores_free, recorder.cores_free) >= costs.stream_cores
            and room.memory_free_mb >= more_mb
            and room.mbps_free >= self.mbps(stream)
        )

    def shortage(self, stream: str) -> Reason:
        """What every node that is on lacks for one more viewer of the stream."""
        usable = [n for n in self.nodes.values() if n.is_access and not n.is_closed]
        if not usable:
            return Reason.UNREACHABLE
        able = [n for n in usable if self._has_cores(n)]
        if not able:
            return Reason.CPU
        has_rate = any(n.mbps_free >= self.mbps(stream) for n in able)
        return Reason.UNREACHABLE if has_rate else Reason.BANDWIDTH

    def _has_cores(self, node: NodeView) -> bool:
        """Whether a running or new edge of the node has CPU for a viewer."""
        least = self.costs.viewer_cores
        has_edge = any(edge.cores_free >= least for edge in self.edges_at([node.name]))
        return node.cores_free >= least and (has_edge or self.fits_function(node.name))

    def refusal(self, stream: str, access_node: str, reason: Reason | None = None) -> NoCapacity:
        """The error for a viewer whom no edge can serve; says why."""
        why = reason or self.shortage(stream)
        return NoCapacity(
            f"No edge can take another viewer of this stream now: {_WHY[why]}; try again shortly.",
            stream=stream,
            access_node=access_node,
            reason=why.value,
        )

    def fits_path(self, nodes: Iterable[str], mbps: float) -> bool:
        """Whether every link along the nodes has that rate left."""
        pairs = itertools.pairwise(nodes)
        return all(self.links_free_mbps.get(frozenset(pair), 0.0) >= mbps for pair in pairs)

    def fresh_id(self, role: str, node: str) -> str:
        """A name for a new function that no function has."""
        return next(self.fresh_ids(role, node))

    def fresh_ids(self, role: str, node: str) -> Iterator[str]:
        """Names for new functions that no function has, without end."""
        ids = (f"{role}-{node}-{number}" for number in itertools.count(1))
        return (id_ for id_ in ids if id_ not in self.functions and id_ not in self.taken_ids)

    def carried(self, tree: Tree, branch: Branch) -> bool:
        """Whether the branch's function is there and usable. A closed node keeps its edges until
        their viewers are gone or it is evicted, but forwards nothing: another can do that
        unnoticed."""
        function, node = self.functions.get(branch.function), self.nodes.get(branch.node)
        if node is None or node.is_evicted or (branch.role == FORWARDER and node.is_closed):
            return False
        return (function is None or function.usable) and branch.node not in self.broken_nodes
