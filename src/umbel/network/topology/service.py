"""The nodes and links there are, who is near whom, and nodes that come and go.

In: the network document's topology, changes at run time. Out: the current topology and routes over
it, which are kept until it changes.
"""

from umbel.kit.errors import Conflict, Unprocessable
from umbel.network.model import Link, Route, Topology
from umbel.network.topology import paths


class NodesFixed(Conflict):
    """Switches carry the streams, and only the network file describes them: add or remove the node
    there, and start the platform again."""

    code = "umbel.nodes_fixed"


class InvalidLinks(Unprocessable):
    """A new node needs links, each from it to a node of the network."""

    code = "umbel.invalid_links"


class TopologyService:
    """One operator's nodes and links. `is_fixed`: nodes cannot come or go at run time."""

    def __init__(self, topology: Topology, *, is_fixed: bool = False) -> None:
        self._topology = topology
        self._is_fixed = is_fixed
        self._routes: dict[str, dict[str, Route]] = {}

    def current(self) -> Topology:
        """Nodes and links as they are now."""
        return self._topology

    def set(self, topology: Topology) -> None:
        """There are exactly these nodes and links from now on."""
        self._topology = topology
        self._routes.clear()

    def check_changeable(self) -> None:
        """Raise NodesFixed where nodes cannot come and go."""
        if self._is_fixed:
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

    def _from(self, node: str) -> dict[str, Route]:
        if node not in self._routes:
            self._routes[node] = paths.routes(self._topology, node)
        return self._routes[node]
