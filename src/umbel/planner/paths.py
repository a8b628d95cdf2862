"""Lightpaths, IP paths over them, and where a base band may go: Network and Routing in, Routes out.

Nodes are numbers from here on, in the network's order. Everything is bounded and in a fixed
order, so equal networks give equal problems.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

from umbel.kit.errors import Invalid
from umbel.planner import checks
from umbel.planner.problem import Access, Network, Routing

Path = tuple[int, ...]


class TooManyPaths(Invalid):
    """The network has too many paths to list all of them; use column generation."""

    code = "umbel.too_many_paths"


@dataclass(frozen=True, kw_only=True)
class Routes:
    """What may carry a problem's traffic; depends on network and routing alone, so keep it.

    `lightpaths` [L] are (from, to, size of the bundle). `paths` [P] name each node whose IP
    router, or for the two ends whose switch, the traffic touches; a path of one node stays there.
    `hosts` maps a mobile end to where its base band may run, itself first; `sources` maps an end
    to the nodes that may serve it.
    """

    names: tuple[str, ...]
    pop: int
    ends: tuple[int, ...]
    lightpaths: tuple[tuple[int, int, int], ...]
    paths: tuple[Path, ...]
    hosts: Mapping[int, tuple[int, ...]]
    sources: Mapping[int, tuple[int, ...]]

    def pairs(self) -> list[tuple[int, int]]:
        """The (from, to) that traffic may need, in order."""
        found = {(self.pop, node) for node in range(len(self.names))}
        for end in self.ends:
            found |= {(i, j) for i in self.sources[end] for j in self.hosts.get(end, (end,))}
        return sorted(found)


def find_routes(network: Network, routing: Routing, *, list_paths: bool = True) -> Routes:
    """Everything that may carry traffic. Raises BadProblem, TooManyPaths.

    Without `list_paths` there are lightpaths but no paths: column generation finds those it needs.
    """
    faults = list(checks.inspect_network(network, routing))
    if faults:
        raise checks.BadProblem(f"The network has {len(faults)} fault(s)", problems=faults)
    fibre = _Fibre(network, routing)
    bare = Routes(
        names=tuple(node.name for node in network.nodes),
        pop=fibre.pop,
        ends=fibre.ends,
        lightpaths=(),
        paths=(),
        hosts={e: fibre.hosts(e) for e in fibre.ends if fibre.access[e] is Access.MOBILE},
        sources={e: fibre.sources(e) for e in fibre.ends},
    )
    routes = {pair: fibre.routes(*pair) for pair in bare.pairs()}
    lightpaths = _lightpaths(network, routing, bare, routes)
    paths: tuple[Path, ...] = ()
    if list_paths:
        listing = (
            _cuts(routing, routes)
            if routing.follow_fibre
            else _chains(routing, bare, routes, lightpaths)
        )
        paths = tuple(_bounded(listing, routing.most_paths))
    return Routes(
        names=bare.names,
        pop=bare.pop,
        ends=bare.ends,
        lightpaths=lightpaths,
        paths=paths,
        hosts=bare.hosts,
        sources=bare.sources,
    )


class _Fibre:
    """The physical graph by numbers, with distances in hops that respect who relays."""

    def __init__(self, network: Network, routing: Routing) -> None:
        index = {node.name: number for number, node in enumerate(network.nodes)}
        self._routing = routing
        self.pop = index[network.pop]
        self.access = [node.access for node in network.nodes]
        self.ends = tuple(i for i, a in enumerate(self.access) if a is not Access.TRANSIT)
        near: list[set[int]] = [set() for _ in network.nodes]
        for link in network.links:
            near[index[link.a]].add(index[link.b])
            near[index[link.b]].add(index[link.a])
        self._near = [sorted(some) for some in near]
        self._hops = [self._hops_to(target) for target in range(len(network.nodes))]

    def _relays(self, node: int) -> bool:
        return self.access[node] is Access.TRANSIT or node == self.pop or self._routing.ends_relay

    def _hops_to(self, target: int) -> dict[int, int]:
        hops = {target: 0}
        queue = [target]
        for node in queue:
            if node == target or self._relays(node):
                for other in self._near[node]:
                    if other not in hops:
                        hops[other] = hops[node] + 1
                        queue.append(other)
        return hops

    def hosts(self, end: int) -> tuple[int, ...]:
        """(4b, 4c): its own site, or a node that is no end node, within reach."""
        reach = self._routing.cpri_reach_hops
        hops = self._hops[end]
        core = (i for i, a in enumerate(self.access) if a is Access.TRANSIT)
        return (end, *(i for i in core if hops.get(i, reach + 1) <= reach))

    def sources(self, end: int) -> tuple[int, ...]:
        """Nodes that may serve an end: itself, the PoP, and within reach those that are no end."""
        hops, reach = self._hops[end], self._routing.serve_reach_hops

        def may(node: int) -> bool:
            if node in (end, self.pop):
                return True
            serves = self.access[node] is Access.TRANSIT or self._routing.ends_serve_others
            return serves and hops.get(node, reach) <= reach

        return tuple(node for node in range(len(self.access)) if may(node))

    def routes(self, source: int, target: int) -> list[Path]:
        """The shortest physical routes, shortest first, as many as the rules allow."""
        least = self._hops[target].get(source)
        if least is None:
            return []
        found: list[Path] = []
        for hops in range(least, least + self._routing.detour_hops + 1):
            for route in self._routes_of(source, target, hops):
                found.append(route)
                if len(found) == self._routing.routes_per_pair:
                    return found
        return found

    def _routes_of(self, source: int, target: int, hops: int) -> Iterator[Path]:
        """Simple routes of exactly so many hops; a branch that cannot arrive is not entered."""
        to_go = self._hops[target]
        stack: list[Path] = [(source,)]
        while stack:
            route = stack.pop()
            left = hops - len(route) + 1
            if route[-1] == target:
                if left == 0:
                    yield route
                continue
            if len(route) > 1 and not self._relays(route[-1]):
                continue
            for other in reversed(self._near[route[-1]]):
                if other not in route and to_go.get(other, hops) <= left - 1:
                    stack.append((*route, other))


def _lightpaths(
    network: Network, routing: Routing, bare: Routes, routes: Mapping[tuple[int, int], list[Path]]
) -> tuple[tuple[int, int, int], ...]:
    index = {name: number for number, name in enumerate(bare.names)}
    sizes: dict[tuple[int, int], int] = {}
    for link in network.links:
        a, b = index[link.a], index[link.b]
        sizes[a, b] = sizes[b, a] = link.lightpaths
    wanted = {(host, end) for end, hosts in bare.hosts.items() for host in hosts if host != end}
    for route in (route for found in routes.values() for route in found):
        spans = combinations(route, 2) if routing.bypass else pairwise(route)
        wanted.update(spans)
    return tuple((i, j, sizes.get((i, j), network.bypass_lightpaths)) for i, j in sorted(wanted))


def _cuts(routing: Routing, routes: Mapping[tuple[int, int], list[Path]]) -> Iterator[Path]:
    """Every way to cut each physical route into lightpaths."""
    for found in routes.values():
        seen: dict[Path, None] = {}
        for route in found:
            stops = route[1:-1]
            most = min(routing.lightpaths_per_path - 1, len(stops))
            least = 0 if routing.bypass else len(stops)
            for count in range(least, (most if routing.bypass else len(stops)) + 1):
                for cut in combinations(stops, count):
                    seen[(route[0], *cut, route[-1])[: len(route)]] = None
        yield from seen


def relays(routes: Routes, routing: Routing) -> frozenset[int]:
    """The nodes that a path may pass."""
    ends = set() if routing.ends_relay else set(routes.ends) - {routes.pop}
    return frozenset(node for node in range(len(routes.names)) if node not in ends)


def _chains(
    routing: Routing,
    bare: Routes,
    pairs: Iterable[tuple[int, int]],
    lightpaths: Iterable[tuple[int, int, int]],
) -> Iterator[Path]:
    """Every simple chain of lightpaths between each pair."""
    onward: dict[int, list[int]] = {}
    for i, j, _size in lightpaths:
        onward.setdefault(i, []).append(j)
    through = relays(bare, routing)
    for source, target in pairs:
        some = {i: [j for j in to if j in through or j == target] for i, to in onward.items()}
        yield from _chains_of(source, target, some, routing.lightpaths_per_path)


def _chains_of(
    source: int, target: int, onward: Mapping[int, list[int]], most: int
) -> Iterator[Path]:
    stack: list[Path] = [(source,)]
    while stack:
        chain = stack.pop()
        if chain[-1] == target:
            yield chain
        elif len(chain) <= most:
            stack.extend((*chain, j) for j in onward.get(chain[-1], ()) if j not in chain)


def _bounded(listing: Iterator[Path], most: int) -> Iterator[Path]:
    for number, path in enumerate(listing):
        if number == most:
            raise TooManyPaths(f"There are more than {most} paths", most_paths=most)
        yield path
