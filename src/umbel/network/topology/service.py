"""The nodes and links there are, who is near whom, and nodes that come and go.

In: the network document's topology, changes at run time. Out: the current topology and routes over
it, which are kept until it changes.
"""

from collections.abc import Mapping

from umbel.network.model import Link, Route, Topology
from umbel.network.topology import paths
from umbel.network.topology.registry import SiteRegistry
from umbel.network.topology.sites import Site


class TopologyService:
    """One operator's nodes and links. Where switches carry streams, `sites` follow them."""

    def __init__(self, topology: Topology, sites: SiteRegistry | None = None) -> None:
        self._topology = topology
        self._sites = sites
        self._wanted: Mapping[str, Site] = {} if sites is None else dict(sites)
        self._routes: dict[str, dict[str, Route]] = {}

    def current(self) -> Topology:
        """Nodes and links as they are now."""
        return self._topology

    def set(self, topology: Topology, sites: Mapping[str, Site] | None = None) -> None:
        """There are exactly these nodes and links from now on, with these sites where switches
        carry streams. Other sites stay until `drop_sites`."""
        self._topology = topology
        self._routes.clear()
        if self._sites is not None and sites is not None:
            self._wanted = sites
            self._sites.extend(sites)

    def drop_sites(self) -> None:
        """There are only the sites that `set` was given last: streams go around the others."""
        if self._sites is not None:
            self._sites.set(self._wanted)

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
