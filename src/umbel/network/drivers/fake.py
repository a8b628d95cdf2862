"""A fabric in memory that can lose links: for the simulator and for tests.

Packets go by the best way over the links that are left, as in a network that routes around.
"""

from collections.abc import Mapping, Sequence

from umbel.network import paths
from umbel.network.model import Endpoint, Hop, Link, Topology


class FakeFabric:
    """Carries whatever the topology, less the lost links, can carry."""

    copies = False

    def __init__(self, topology: Topology) -> None:
        self._whole = topology
        self._left = topology
        self._streams: dict[str, tuple[Hop, ...]] = {}

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
