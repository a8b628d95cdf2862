"""The one owner of the sites: which switches there are now, for all that needs to know one.

In: the sites of the network file; others that come and go while the platform runs. Out: each site
by its node or its switch's datapath id, and a call when they changed. Nobody keeps a copy.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from umbel.network.topology.sites import Site


class SiteRegistry(Mapping[str, Site]):
    """The sites there are now, by node. `revision` grows with every change."""

    def __init__(self, sites: Mapping[str, Site]) -> None:
        self.revision = 0
        self._watchers: list[Callable[[], None]] = []
        self._replace(sites)

    def __getitem__(self, node: str) -> Site:
        return self._sites[node]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sites)

    def __len__(self) -> int:
        return len(self._sites)

    def node_of(self, datapath_id: int) -> str | None:
        """The node whose switch has this datapath id."""
        return self._nodes.get(datapath_id)

    def guest_home(self, address: str) -> str:
        """The node whose network of guests an IPv4 address is in; empty: none has it."""
        wanted = IPv4Address(address)
        for node, site in self._sites.items():
            network = site.guest_network
            if network is not None and wanted in network:
                return node
        return ""

    def set(self, sites: Mapping[str, Site]) -> None:
        """There are exactly these sites from now on."""
        if dict(sites) == self._sites:
            return
        self._replace(sites)
        self.revision += 1
        for watch in tuple(self._watchers):
            watch()

    def extend(self, sites: Mapping[str, Site]) -> None:
        """There are these sites from now on. Sites and ends of links that are not among them stay
        until `set`."""
        more = {node: _joined(site, self._sites.get(node)) for node, site in sites.items()}
        self.set({**self._sites, **more})

    def watch(self, watch: Callable[[], None]) -> None:
        """Call `watch` after every change from now on."""
        self._watchers.append(watch)

    def _replace(self, sites: Mapping[str, Site]) -> None:
        self._sites = dict(sites)
        self._nodes = {site.datapath_id: node for node, site in sites.items()}


def _joined(site: Site, before: Site | None) -> Site:
    """The site with the ends of links that it had before."""
    if before is None or not site.is_same_switch(before):
        return site
    return replace(
        site,
        underlay={**before.underlay, **site.underlay},
        cables={**before.cables, **site.cables},
        queues={**before.queues, **site.queues},
        crossings={**before.crossings, **site.crossings},
    )
