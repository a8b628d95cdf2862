"""A fabric in memory that can lose links: for the simulator and for tests.

Packets go by the best way over the links that are left, as in a network that routes around.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from umbel.network.model import Endpoint, Hop, Link, Pair, Topology, pair
from umbel.network.overlay.streams import Slice
from umbel.network.slices.admission import QueueClass, QueueRefused, StreamDestination
from umbel.network.switching.counters import Count, FabricCounts
from umbel.network.switching.signals import SwitchRefused
from umbel.network.topology import paths


class FakeFabric:
    """Carries whatever the topology, less the lost links, can carry; `copies` as the Protocol
    says. The switches of the nodes in `full` take no rules for further hops or other ways."""

    def __init__(self, topology: Topology, *, copies: bool = False) -> None:
        self._whole = topology
        self._copies = copies
        self._left = topology
        self._streams: dict[str, tuple[Hop, ...]] = {}
        self._ways: dict[tuple[str, Hop], tuple[str, ...]] = {}
        self.full: set[str] = set()
        self.slices: dict[str, Slice] = {}
        self.counted = FabricCounts()

    @property
    def copies(self) -> bool:
        return self._copies

    @property
    def streams(self) -> Mapping[str, tuple[Hop, ...]]:
        """The hops of every stream carried now."""
        return self._streams

    async def ensure(self, stream: str, hops: Sequence[Hop]) -> Mapping[Hop, Endpoint]:
        """See the Protocol. Raises NoPath when a hop's ends are cut off from each other,
        SwitchRefused when a switch on its way is full; then the stream is carried as before."""
        before, new = self._streams.get(stream, ()), {}
        for hop in hops:
            if hop not in before or self.route(stream, hop) is None:
                new[hop] = paths.shortest(self._left, hop.source_node, hop.target.node).nodes
        refused = {hop: self.full.intersection(new[hop]) for hop in new if hop not in before}
        if any(refused.values()):
            full = min(node for nodes in refused.values() for node in nodes)
            leaves = sorted({hop.target.node for hop, nodes in refused.items() if full in nodes})
            problem = f"The switch of node {full} is full"
            raise SwitchRefused(problem, stream=stream, node=full, leaves=leaves)
        self._streams[stream] = tuple(hops)
        self._ways |= {(stream, hop): new[hop] for hop in refused}
        return {hop: hop.target for hop in hops}

    async def remove(self, stream: str) -> None:
        for hop in self._streams.pop(stream, ()):
            self._ways.pop((stream, hop), None)

    def lose(self, a: str, b: str) -> None:
        """The link between two nodes fails. Raises NotInTopology for one that is not there."""
        self._left = paths.without(self._left, a, b)

    def restore(self, a: str, b: str) -> None:
        """The link works again. A working one is not an error. Raises NotInTopology."""
        (back,) = paths.links_of(self._whole, (a, b))
        kept = tuple(link for link in self._whole.links if link is back or link in self._left.links)
        self._left = Topology(nodes=self._whole.nodes, links=kept)

    def route(self, stream: str, hop: Hop) -> tuple[Link, ...] | None:
        """The links the stream's packets take on this hop now; None when they do not arrive,
        because the stream is not carried over the hop or its ends are cut off."""
        if hop not in self._streams.get(stream, ()):
            return None
        best = paths.routes(self._left, hop.source_node).get(hop.target.node)
        if best is not None and not self.full.intersection(best.nodes):
            self._ways[stream, hop] = best.nodes
        way = self._ways[stream, hop]
        return paths.links_of(self._left, way) if self._is_whole(way) else None

    def _is_whole(self, way: Sequence[str]) -> bool:
        left = {pair(link.a, link.b) for link in self._left.links}
        return left.issuperset(pair(*ends) for ends in pairwise(way))

    def stream_route(self, stream: str) -> tuple[tuple[Pair, ...], StreamDestination | None]:
        hops = self._streams.get(stream, ())
        if not hops:
            return (), None
        found = [paths.routes(self._left, h.source_node).get(h.target.node) for h in hops]
        links = [
            link
            for stream_route in found
            if stream_route is not None
            for link in pairwise(stream_route.nodes)
        ]
        target = hops[0].target
        return tuple(dict.fromkeys(links)), StreamDestination(
            address=target.address, port=target.port
        )

    async def set_slice(self, stream: str, kind: Slice | None) -> None:
        self.slices.pop(stream, None)
        if kind is not None:
            self.slices[stream] = kind

    async def counters(self) -> FabricCounts:
        return self.counted


class FakeQueues:
    """Queues in memory; the nodes in `dead` do not answer. `sent` is what classes are to have
    counted."""

    def __init__(self) -> None:
        self.installed: dict[tuple[str, str], tuple[QueueClass, ...]] = {}
        self.sent: dict[tuple[str, str, int], Count] = {}
        self.dead: set[str] = set()

    async def ensure(self, node: str, device: str, classes: Sequence[QueueClass]) -> None:
        self._check_answers(node)
        self.installed[node, device] = tuple(classes)

    async def remove(self, node: str, device: str) -> None:
        self._check_answers(node)
        self.installed.pop((node, device), None)

    async def counts(self, node: str, device: str) -> Mapping[int, Count]:
        self._check_answers(node)
        return {
            one.number: self.sent.get((node, device, one.number), Count())
            for one in self.installed.get((node, device), ())
        }

    def _check_answers(self, node: str) -> None:
        if node in self.dead:
            raise QueueRefused(node=node)
