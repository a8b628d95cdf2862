"""The nodes and links there are, who is near whom, and nodes that come and go.

In: the network document's topology, changes at run time. Out: the current topology and routes over
it, which are kept until it changes.
"""

from collections.abc import Mapping, Sequence

from umbel.kit.errors import Conflict
from umbel.network.model import Link, Route, Topology
from umbel.network.topology import paths, wiring
from umbel.network.topology.sites import Site


class NoSwitch(Conflict):
    """Switches carry the streams, and the network file describes no switch for this node, or none
    that can reach these neighbours: add the switch to the file, and start the platform again."""

    code = "umbel.no_switch"


class TopologyService:
    """One operator's nodes and links. Where switches carry streams, `sites` are the ones that the
    network file describes, by node."""

    def __init__(self, topology: Topology, sites: Mapping[str, Site] | None = None) -> None:
        self._topology = topology
        self._sites = sites
        self._routes: dict[str, dict[str, Route]] = {}

    def current(self) -> Topology:
        """Nodes and links as they are now."""
        return self._topology

    def set(self, topology: Topology) -> None:
        """There are exactly these nodes and links from now on."""
        self._topology = topology
        self._routes.clear()

    def check_new(self, node: str, links: Sequence[Link]) -> None:
        """Raise NoSwitch where switches carry streams and none is the node's, or none of its links
        can have a tunnel."""
        sites = self._sites
        if sites is None:
            return
        if node not in sites:
            raise NoSwitch(f"The network file describes no switch for {node}", node=node)
        ends = ({link.a, link.b} - {node} for link in links)
        apart = sorted(b for end in ends for b in end if not wiring.joined(sites, node, b))
        if apart:
            message = f"The switch of {node} has no underlay address toward {', '.join(apart)}"
            raise NoSwitch(message, node=node, neighbours=apart)

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
