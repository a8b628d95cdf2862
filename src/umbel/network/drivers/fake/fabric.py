"""A fabric in memory that can lose links: for the simulator and for tests.

Packets go by the best way over the links that are left, as in a network that routes around.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from umbel.network.model import Endpoint, Hop, Link, Pair, Topology
from umbel.network.overlay.streams import Slice
from umbel.network.slices.admission import Flow, QueueClass, QueueRefused
from umbel.network.switching.counters import Count, FabricCounts
from umbel.network.topology import paths


class FakeFabric:
    """Carries whatever the topology, less the lost links, can carry; `copies` as the Protocol
    says."""

    def __init__(self, topology: Topology, *, copies: bool = False) -> None:
        self._whole = topology
        self._copies = copies
        self._left = topology
        self._streams: dict[str, tuple[Hop, ...]] = {}
        self.slices: dict[str, Slice] = {}
        self.counters = FabricCounts()

    @property
    def copies(self) -> bool:
        return self._copies

    @property
    def streams(self) -> Mapping[str, tuple[Hop, ...]]:
        """The hops of every stream carried now."""
        return self._streams

    async def ensure(self, stream: str, hops: Sequence[Hop]) -> Mapping[Hop, Endpoint]:
        """As the Protocol says. Raises NoPath when a hop's ends are cut off from each other;
        then the stream is carried as before."""
        for hop in hops:
            paths.shortest(self._left, hop.source_node, hop.target.node)
        self._streams[stream] = tuple(hops)
        return {hop: hop.target for hop in hops}

    async def remove(self, stream: str) -> None:
        self._streams.pop(stream, None)

    def lose(self, a: str, b: str) -> None:
        """The link between two nodes fails. Raises NotInTopology for one that is not there."""
        self._left = paths.without(self._left, a, b)

    def restore(self, a: str, b: str) -> None:
        """The link works again. A working one is no error. Raises NotInTopology."""
        (back,) = paths.links_of(self._whole, (a, b))
        kept = tuple(link for link in self._whole.links if link is back or link in self._left.links)
        self._left = Topology(nodes=self._whole.nodes, links=kept)

    def route(self, stream: str, hop: Hop) -> tuple[Link, ...] | None:
        """The links the stream's packets take on this hop now; None when they do not arrive,
        because the stream is not carried over the hop or its ends are cut off."""
        if hop not in self._streams.get(stream, ()):
            return None
        way = paths.ways(self._left, hop.source_node).get(hop.target.node)
        return None if way is None else paths.links_of(self._left, way.nodes)

    def way(self, stream: str) -> tuple[tuple[Pair, ...], Flow | None]:
        hops = self._streams.get(stream, ())
        if not hops:
            return (), None
        found = [paths.ways(self._left, h.source_node).get(h.target.node) for h in hops]
        links = [link for way in found if way is not None for link in pairwise(way.nodes)]
        target = hops[0].target
        return tuple(dict.fromkeys(links)), Flow(address=target.address, port=target.port)

    async def slice(self, stream: str, kind: Slice | None) -> None:
        self.slices.pop(stream, None)
        if kind is not None:
            self.slices[stream] = kind

    async def counted(self) -> FabricCounts:
        return self.counters


class FakeQueues:
    """Queues in memory; the nodes in `dead` do not answer. `sent` is what classes are to have
    counted."""

    def __init__(self) -> None:
        self.laid: dict[tuple[str, str], tuple[QueueClass, ...]] = {}
        self.sent: dict[tuple[str, str, int], Count] = {}
        self.dead: set[str] = set()

    async def ensure(self, node: str, device: str, classes: Sequence[QueueClass]) -> None:
        self._ask(node)
        self.laid[node, device] = tuple(classes)

    async def remove(self, node: str, device: str) -> None:
        self._ask(node)
        self.laid.pop((node, device), None)

    async def counts(self, node: str, device: str) -> Mapping[int, Count]:
        self._ask(node)
        return {
            one.number: self.sent.get((node, device, one.number), Count())
            for one in self.laid.get((node, device), ())
        }

    def _ask(self, node: str) -> None:
        if node in self.dead:
            raise QueueRefused(node=node)
