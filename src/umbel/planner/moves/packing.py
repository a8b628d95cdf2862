"""A first answer without a search: the largest functions first, each where it fits best."""

from collections.abc import Collection

from umbel.planner.moves.model import Host, HostedFunction, MoveProblem
from umbel.planner.moves.program import allowed

_SLACK = 1e-9
Weights = tuple[float, float]
_WEIGHTS: tuple[Weights, ...] = ((1, 1), (3, 1), (1, 3))
"""Of cores and memory, in how large a function is and how much room is left."""


def packed(
    problem: MoveProblem, hosts: Collection[str], fullest: float = 1.0
) -> dict[str, str] | None:
    """Places on those nodes, filled up to a share of them; None where something is left over.
    Functions that must be together go as one. Some orders are tried, and then some again without
    a preference for where functions run."""
    ways = ((weights, is_home) for is_home in (True, False) for weights in _WEIGHTS)
    found = (_packed(problem, hosts, fullest, way) for way in ways)
    return next((places for places in found if places is not None), None)


def _packed(
    problem: MoveProblem, hosts: Collection[str], fullest: float, way: tuple[Weights, bool]
) -> dict[str, str] | None:
    rooms = _Filling(problem, fullest, way)
    for group in sorted(_groups(problem), key=rooms.need, reverse=True):
        places = [
            host
            for host in problem.hosts
            if host.name in hosts
            and all(allowed(problem, function, host) for function in group)
            and rooms.fits(group, host)
        ]
        if not places:
            return None
        rooms.put(group, min(places, key=lambda host: rooms.preference(group, host)))
    return rooms.places


def _groups(problem: MoveProblem) -> list[list[HostedFunction]]:
    """The functions, those together in one list."""
    of = {function.name: [function] for function in problem.functions}
    for names in problem.together:
        merged = list({g.name: g for name in names for g in of[name]}.values())
        of |= dict.fromkeys((function.name for function in merged), merged)
    return list({id(group): group for group in of.values()}.values())


class _Filling:
    """What is used so far, as shares."""

    def __init__(self, problem: MoveProblem, fullest: float, way: tuple[Weights, bool]) -> None:
        self.places: dict[str, str] = {}
        self._weights, self._is_home_first = way
        self._fullest = fullest
        self._used = {host.name: (0.0, 0.0) for host in problem.hosts}
        self._apart = problem.apart
        self._cores = max(host.cores for host in problem.hosts)
        self._memory_mb = max(host.memory_mb for host in problem.hosts)

    def need(self, group: list[HostedFunction]) -> float:
        """How large it is: what can move nowhere else comes first."""
        cores, memory_mb = _sum(group)
        is_bound = any(function.pinned or function.hosts for function in group)
        return is_bound * 10 + self._weighed(cores / self._cores, memory_mb / self._memory_mb)

    def fits(self, group: list[HostedFunction], host: Host) -> bool:
        cores, memory_mb = self._with(group, host)
        most = self._fullest * (1 + _SLACK)
        is_room = cores <= host.cores * most and memory_mb <= host.memory_mb * most
        return is_room and not any(self._meets(function, host.name) for function in group)

    def preference(self, group: list[HostedFunction], host: Host) -> tuple[bool, float]:
        """Rather where it runs, then where it leaves the least room."""
        cores, memory_mb = self._with(group, host)
        used = self._weighed(cores / host.cores, memory_mb / host.memory_mb)
        return (self._is_home_first and group[0].host != host.name, -used)

    def _weighed(self, cores: float, memory: float) -> float:
        return cores * self._weights[0] + memory * self._weights[1]

    def put(self, group: list[HostedFunction], host: Host) -> None:
        self._used[host.name] = self._with(group, host)
        self.places |= dict.fromkeys((function.name for function in group), host.name)

    def _with(self, group: list[HostedFunction], host: Host) -> tuple[float, float]:
        (cores, memory_mb), (more, more_mb) = self._used[host.name], _sum(group)
        return cores + more, memory_mb + more_mb

    def _meets(self, function: HostedFunction, host: str) -> bool:
        others = (group for group in self._apart if function.name in group)
        return any(self.places.get(name) == host for group in others for name in group)


def _sum(group: list[HostedFunction]) -> tuple[float, float]:
    return sum(function.cores for function in group), sum(function.memory_mb for function in group)
