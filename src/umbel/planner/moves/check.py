"""What is wrong with a question of moves: all of it at once, each thing by name."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from umbel.planner.moves.model import BadMoves, Host, HostedFunction, MoveProblem

MOST_HOSTS, MOST_FUNCTIONS = 200, 2000
_MOST = 1e12


def check(problem: MoveProblem) -> None:
    """Raises BadMoves with everything that is wrong in `problems`."""
    found = list(dict.fromkeys(inspect(problem)))
    if found:
        many = "a problem" if len(found) == 1 else f"{len(found)} problems"
        raise BadMoves(f"The request has {many}", problems=found)


def inspect(problem: MoveProblem) -> Iterator[str]:
    """What is wrong, a line each."""
    if not problem.hosts:
        yield "there are no nodes"
    if len(problem.hosts) > MOST_HOSTS or len(problem.functions) > MOST_FUNCTIONS:
        yield f"at most {MOST_HOSTS} nodes and {MOST_FUNCTIONS} functions can be planned"
        return
    yield from _numbers(problem)
    yield from _names(problem)


def _numbers(problem: MoveProblem) -> Iterator[str]:
    for host in problem.hosts:
        what = f"node {host.name}"
        yield from _range(what, host, ("cores", "memory_mb"), least=1e-6)
        yield from _range(what, host, ("idle_w", "full_w"))
        if host.full_w < host.idle_w:
            yield f"{what}: full_w is less than idle_w"
    for function in problem.functions:
        names = ("cores", "memory_mb", "disk_mb", "changed_mb", "within_s")
        yield from _range(f"function {function.name}", function, names)
    yield from _range("limit", problem, ("rate_mbps", "most_moves", "most_mb"))
    for (a, b), mbps in problem.mbps.items():
        yield from _outside(f"{a} to {b}: mbps", mbps, 0.0)


def _range(
    what: str, of: Host | HostedFunction | MoveProblem, names: Iterable[str], least: float = 0.0
) -> Iterator[str]:
    for name in names:
        value = getattr(of, name)
        if value is not None:
            yield from _outside(f"{what}: {name}", value, least)


def _outside(what: str, value: float, least: float) -> Iterator[str]:
    if not (math.isfinite(value) and least <= value <= _MOST):
        yield f"{what} is {value}, outside {least:g}..{_MOST:g}"


def _names(problem: MoveProblem) -> Iterator[str]:
    hosts, functions = {h.name for h in problem.hosts}, {g.name for g in problem.functions}
    for kind, names in (
        ("node", [h.name for h in problem.hosts]),
        ("function", [g.name for g in problem.functions]),
    ):
        yield from (
            f"two {kind}s are called {n}" for n, count in Counter(names).items() if count > 1
        )
    for function in problem.functions:
        yield from _unknown(
            f"function {function.name}", {function.host, *function.hosts}, hosts, "node"
        )
    for word, groups in (("apart", problem.apart), ("together", problem.together)):
        for group in groups:
            yield from _unknown(word, group, functions, "function")
    for pair in problem.mbps:
        yield from _unknown("mbps", pair, hosts, "node")


def _unknown(where: str, named: Iterable[str], known: set[str], kind: str) -> Iterator[str]:
    yield from (f"{where}: there is no {kind} {name}" for name in sorted(set(named) - known))
