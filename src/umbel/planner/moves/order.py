"""In which order: a function moves when its target has room, while all others still run."""

from collections.abc import Mapping

from umbel.planner.moves.model import (
    Host,
    HostedFunction,
    Move,
    MoveProblem,
    NoMoves,
    travelling_mb,
)
from umbel.planner.moves.program import allowed, seconds

_SLACK = 1e-9


class _Rooms:
    """What is used now, step by step."""

    def __init__(self, problem: MoveProblem) -> None:
        self.problem = problem
        self.hosts = {host.name: host for host in problem.hosts}
        self.place = {function.name: function.host for function in problem.functions}
        self.used = {name: [0.0, 0.0] for name in self.hosts}
        for function in problem.functions:
            self._add(function, function.host, 1)

    def has_room(self, function: HostedFunction, target: str) -> bool:
        host, (cores, memory_mb) = self.hosts[target], self.used[target]
        return (
            cores + function.cores <= host.cores * (1 + _SLACK)
            and memory_mb + function.memory_mb <= host.memory_mb * (1 + _SLACK)
            and not self._meets(function, target)
        )

    def _meets(self, function: HostedFunction, target: str) -> bool:
        """Whether a function is there that must be apart from it."""
        others = [group - {function.name} for group in self.problem.apart if function.name in group]
        return any(self.place[name] == target for group in others for name in group)

    def move(self, function: HostedFunction, target: str) -> Move:
        source = self.place[function.name]
        mb = travelling_mb(function, self.hosts[source], self.hosts[target])
        self._add(function, source, -1)
        self._add(function, target, 1)
        self.place[function.name] = target
        return Move(
            function=function.name,
            source=source,
            target=target,
            mb=mb,
            seconds=seconds(self.problem, source, target, mb),
        )

    def _add(self, function: HostedFunction, host: str, sign: int) -> None:
        self.used[host][0] += sign * function.cores
        self.used[host][1] += sign * function.memory_mb


def ordered(problem: MoveProblem, places: Mapping[str, str]) -> tuple[Move, ...]:
    """The moves that lead to these places. Where each waits for another, one function goes by way
    of a third node. Raises NoMoves where none has room for it."""
    rooms, done = _Rooms(problem), list[Move]()
    waiting = [function for function in problem.functions if places[function.name] != function.host]
    waiting.sort(key=lambda function: -function.memory_mb)
    while waiting:
        ready = next((g for g in waiting if rooms.has_room(g, places[g.name])), None)
        if ready is not None:
            done.append(rooms.move(ready, places[ready.name]))
            waiting.remove(ready)
        else:
            done.append(_aside(rooms, waiting))
    return tuple(done)


def _aside(rooms: _Rooms, waiting: list[HostedFunction]) -> Move:
    """The move of the smallest function that can go somewhere else for a while."""
    for function in sorted(waiting, key=lambda one: one.memory_mb):
        if rooms.place[function.name] != function.host:
            continue  # it stands aside already
        for host in _elsewhere(rooms, function):
            if rooms.has_room(function, host.name):
                return rooms.move(function, host.name)
    names = ", ".join(sorted(function.name for function in waiting))
    raise NoMoves(f"Each of {names} waits for another to leave, and no node has room in between.")


def _elsewhere(rooms: _Rooms, function: HostedFunction) -> list[Host]:
    here = rooms.place[function.name]
    hosts = rooms.problem.hosts
    return [h for h in hosts if h.name != here and allowed(rooms.problem, function, h)]
