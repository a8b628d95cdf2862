"""The network's door: what is near what, and streams carried by the fabric below.

In: delivery's questions and wanted hops. Out: ways over the topology; where each hop must send.
"""

from collections.abc import Mapping, Sequence

from umbel.kit.errors import Conflict, Unprocessable
from umbel.network.model import Endpoint, Hop, Link, Topology
from umbel.network.ports import Fabric
from umbel.network.topology import paths
from umbel.network.topology.paths import Route


class NodesFixed(Conflict):
    """Switches carry the streams, and only the network file describes them: add or remove the node
    there, and start the platform again."""

    code = "umbel.nodes_fixed"


class InvalidLinks(Unprocessable):
    """A new node needs links, each from it to a node of the network."""

    code = "umbel.invalid_links"


class Network:
    """One operator's network."""

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

    def set_topology(self, topology: Topology) -> None:
        """There are exactly these nodes and links from now on."""
        self._topology = topology
        self._ways.clear()

    def check_changeable(self) -> None:
        """Raise NodesFixed where nodes cannot come and go."""
        if self._fabric.copies:
            raise NodesFixed

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
