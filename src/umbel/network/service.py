"""The network's door: what is near what, and streams carried by the fabric below.

In: delivery's questions and wanted hops. Out: ways over the topology; where each hop must send.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

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

    def add_node(self, name: str, links: Sequence[Link]) -> None:
        """A node comes with its links. Raises NodesFixed, InvalidLinks."""
        self._check_changeable()
        topology = self._topology
        wrong = [f"{e.a}-{e.b}" for e in links if not _joins(e, name, topology)]
        if wrong or not links:
            raise InvalidLinks(node=name, links=wrong)
        self._set(
            replace(
                topology,
                nodes=tuple(dict.fromkeys([*topology.nodes, name])),
                links=(*topology.links, *links),
            )
        )

    def remove_node(self, name: str) -> None:
        """A node goes, with its links and hosts. Raises NodesFixed."""
        self._check_changeable()
        topology = self._topology
        self._set(
            replace(
                topology,
                nodes=tuple(node for node in topology.nodes if node != name),
                links=tuple(link for link in topology.links if name not in (link.a, link.b)),
                hosts=tuple(host for host in topology.hosts if host.node != name),
            )
        )

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

    def _check_changeable(self) -> None:
        if self._fabric.copies:
            raise NodesFixed

    def _set(self, topology: Topology) -> None:
        self._topology = topology
        self._ways.clear()


def _joins(link: Link, name: str, topology: Topology) -> bool:
    """Whether the link joins the node to another one."""
    ends = {link.a, link.b} - {name}
    return name in (link.a, link.b) and len(ends) == 1 and ends <= set(topology.nodes)
