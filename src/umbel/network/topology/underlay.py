"""Routes between nodes' access networks over the links, for nodes that the platform routes. Pure.

In: sites, and the links that are dead. Out: for each node, which neighbour leads to other nodes'
access networks and their own addresses: by the fewest links, then by the neighbour's name.
"""

import ipaddress
from collections.abc import Collection, Mapping

from umbel.network.model import Pair, pair
from umbel.network.topology.sites import Site, UnderlayRoute, cable_bridge
from umbel.network.topology.wiring import joined


def routes(
    sites: Mapping[str, Site], dead: Collection[Pair]
) -> Mapping[str, tuple[UnderlayRoute, ...]]:
    """Every node's routes to all others that live links lead to, where the switch has cables."""
    near = {node: _neighbours(sites, node, dead) for node in sites}
    return {
        node: tuple(
            UnderlayRoute(to=to, via=sites[by].underlay[node], device=cable_bridge(by))
            for other, by in _first_hops(near, node).items()
            for to in _addresses(sites[other])
        )
        for node in sites
    }


def _neighbours(sites: Mapping[str, Site], node: str, dead: Collection[Pair]) -> list[str]:
    found = (near for near in sorted(sites[node].cables) if joined(sites, node, near))
    return [near for near in found if pair(node, near) not in dead and node in sites[near].cables]


def _first_hops(near: Mapping[str, list[str]], start: str) -> dict[str, str]:
    """For each other node that can be reached, the neighbour that leads there."""
    found, coming = {name: name for name in near[start]}, list(near[start])
    for node in coming:
        new = [other for other in near[node] if other not in found and other != start]
        found.update(dict.fromkeys(new, found[node]))
        coming += new
    return found


def _addresses(site: Site) -> list[str]:
    network = str(ipaddress.IPv4Interface(site.gateway).network)
    kind, _, rest = site.ovsdb.partition(":")
    return [network, rest.rpartition(":")[0]] if kind == "tcp" else [network]
