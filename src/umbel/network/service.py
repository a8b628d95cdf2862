"""The network's door: what is near what, and streams carried by the fabric below.

In: delivery's questions and wanted hops. Out: ways over the topology; where each hop must send.
"""

from collections.abc import Mapping, Sequence

from umbel.network.model import Endpoint, Hop, Link, Topology
from umbel.network.ports import Fabric
from umbel.network.topology import paths
from umbel.network.topology.paths import Route


class Network:
    """One operator's network. The topology stays as it is for the life of this object."""

    def __init__(self, topology: Topology, fabric: Fabric) -> None:
        self._topology = topology
        self._fabric = fabric
        self._ways: dict[str, dict[str, Route]] = {}

    @property
    def copies(self) -> bool:
        """Whether switches copy a stream where ways part, so that no function need do it."""
        return self._fabric.copies

    def topology(self) -> Topology:
        """Nodes and links."""
        return self._topology

    def path(self, a: str, b: str) -> Route:
        """The best way from `a` to `b`. Raises NotInTopology or NoPath."""
        return paths.pick(self._from(a), self._topology, b)

    def links(self, a: str, b: str) -> tuple[Link, ...]:
        """The links of that way, in order. Raises NotInTopology or NoPath."""
        return paths.links_of(self._topology, self.path(a, b).nodes)

    def nearest(self, node: str) -> tuple[Route, ...]:
        """The ways to all other nodes that can be reached, nearest first. Raises NotInTopology."""
        return tuple(self._from(node).values())[1:]

    async def ensure(self, stream: str, hops: Sequence[Hop]) -> Mapping[Hop, Endpoint]:
        """Carry `stream` over exactly these hops; returns where each hop's source must send."""
        return await self._fabric.ensure(stream, hops)

    async def remove(self, stream: str) -> None:
        """Carry the stream no longer."""
        await self._fabric.remove(stream)

    def _from(self, node: str) -> dict[str, Route]:
        if node not in self._ways:
            self._ways[node] = paths.routes(self._topology, node)
        return self._ways[node]
