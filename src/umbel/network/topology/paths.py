"""Who is near whom, and by which way: fewest hops first, then least delay, then by name.

Topology in, names and distances out; nothing is kept.
"""

import heapq
from collections.abc import Mapping, Sequence
from itertools import pairwise

from umbel.kit.errors import NotFound, Unavailable
from umbel.network.model import Link, Route, Topology


class NotInTopology(NotFound):
    """The network has no such node or link."""

    code = "umbel.not_in_topology"


class NoPath(Unavailable):
    """No path of links connects the two nodes."""

    code = "umbel.no_path"


def routes(topology: Topology, source: str) -> dict[str, Route]:
    """The best way from `source` to every node that can be reached, nearest first; the first is
    `source` itself with no hops. Raises NotInTopology."""
    if source not in topology.nodes:
        raise NotInTopology(f"The network has no node {source}", node=source)
    neighbours = _neighbours(topology)
    found: dict[str, Route] = {}
    # Dijkstra on (hops, delay, names): adding a link grows each part alike on both of two
    # candidates, so the least tuple settles first and equal costs are decided by name.
    open_ways: list[tuple[int, float, tuple[str, ...]]] = [(0, 0.0, (source,))]
    while open_ways:
        hops, delay_ms, names = heapq.heappop(open_ways)
        if names[-1] in found:
            continue
        found[names[-1]] = Route(nodes=names, delay_ms=delay_ms)
        for name, link_ms in neighbours[names[-1]].items():
            if name not in found:
                heapq.heappush(open_ways, (hops + 1, delay_ms + link_ms, (*names, name)))
    return found


def shortest(topology: Topology, source: str, target: str) -> Route:
    """The best way from one node to another. Raises NotInTopology or NoPath."""
    return pick(routes(topology, source), topology, target)


def pick(found: Mapping[str, Route], topology: Topology, target: str) -> Route:
    """The way to `target` among what `ways` gave. Raises NotInTopology or NoPath."""
    if target in found:
        return found[target]
    if target not in topology.nodes:
        raise NotInTopology(f"The network has no node {target}", node=target)
    raise NoPath(f"No path leads to {target}", target=target)


def links_of(topology: Topology, nodes: Sequence[str]) -> tuple[Link, ...]:
    """The links a chain of node names runs over. Raises NotInTopology where two are not joined."""
    by_ends = {frozenset((link.a, link.b)): link for link in topology.links}
    links = []
    for a, b in pairwise(nodes):
        link = by_ends.get(frozenset((a, b)))
        if link is None:
            raise NotInTopology(f"No link joins {a} and {b}", a=a, b=b)
        links.append(link)
    return tuple(links)


def without(topology: Topology, a: str, b: str) -> Topology:
    """The same network after the link between `a` and `b` is lost. Raises NotInTopology."""
    (lost,) = links_of(topology, (a, b))
    kept = tuple(link for link in topology.links if link is not lost)
    return Topology(nodes=topology.nodes, links=kept)


def _neighbours(topology: Topology) -> dict[str, dict[str, float]]:
    neighbours: dict[str, dict[str, float]] = {name: {} for name in topology.nodes}
    for link in topology.links:
        neighbours[link.a][link.b] = link.delay_ms
        neighbours[link.b][link.a] = link.delay_ms
    return neighbours
