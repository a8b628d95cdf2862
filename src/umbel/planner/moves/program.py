"""The moves as a mixed-integer linear program: where each function runs, which nodes are on.

x[g, h] is 1 where function g runs on node h, for the pairs that are allowed; y[h] is 1 where
anything may run on h. Two runs: the first for the goal, the second for the fewest bytes among what
is as good.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from umbel.planner.linear import Assembly, Floats, Ints, Linear
from umbel.planner.moves.bound import bound, used_now
from umbel.planner.moves.model import Host, HostedFunction, MoveGoal, MoveProblem, travelling_mb


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """The linear program, and what its columns mean. `pairs[k]` is the function and the host of
    x[k]; `mb[k]` travels for it. `goal` are the goal's costs; no solution has less than `least`."""

    linear: Linear
    pairs: Ints
    x: Ints
    mb: Floats
    goal: Floats
    on: Ints
    least: float


def allowed(problem: MoveProblem, function: HostedFunction, host: Host) -> bool:
    """Whether the function may run there after the moves."""
    stays = function.host == host.name
    if stays or function.pinned:
        return stays and not host.drained
    if host.closed or host.drained or (function.hosts and host.name not in function.hosts):
        return False
    if _rate(problem, function.host, host.name) <= 0:
        return False
    within_s = function.within_s
    return within_s is None or _takes_s(problem, function, host) <= within_s


def seconds(problem: MoveProblem, source: str, target: str, mb: float) -> float:
    """How long so many MB take between two nodes at the free rate; 8 Mbit are 1 MB."""
    return mb * 8 / _rate(problem, source, target)


def _rate(problem: MoveProblem, source: str, target: str) -> float:
    return problem.mbps.get((source, target), problem.rate_mbps)


def _takes_s(problem: MoveProblem, function: HostedFunction, host: Host) -> float:
    home = next(h for h in problem.hosts if h.name == function.host)
    return seconds(problem, function.host, host.name, travelling_mb(function, home, host))


def build(problem: MoveProblem) -> Program:
    """The program for the problem's goal."""
    by_name = {host.name: host for host in problem.hosts}
    pairs = [
        (g, h, travelling_mb(function, by_name[function.host], host))
        for g, function in enumerate(problem.functions)
        for h, host in enumerate(problem.hosts)
        if allowed(problem, function, host)
    ]
    who = np.array([pair[:2] for pair in pairs], dtype=np.int64).reshape(-1, 2)
    mb = np.array([pair[2] for pair in pairs])
    made, count = Assembly(), len(pairs)
    x = made.columns("runs", count, upper=1.0, integer=True)
    on = made.columns("on", len(problem.hosts), upper=1.0, integer=True)
    level = made.columns("fullest", 1)
    _one_place_each(made, problem, who, x)
    _room(made, problem, (who, x, on, level))
    _affinity(made, problem, who, x)
    _limits(made, problem, (who, x), mb)
    goal = _goal(problem, (who, x), mb, len(problem.hosts))
    used = np.flatnonzero(goal)
    row = made.rows("goal", 1, -np.inf, np.inf)
    made.add(np.broadcast_to(row, len(used)), used, goal[used])
    linear = made.done()
    return Program(
        linear=linear,
        pairs=who,
        x=x,
        mb=mb,
        goal=goal,
        on=on,
        least=bound(problem, goal, who),
    )


def _goal(problem: MoveProblem, runs: tuple[Ints, Ints], mb: Floats, hosts: int) -> Floats:
    who, x = runs
    cost = np.zeros(len(x) + hosts + 1)
    match problem.goal:
        case MoveGoal.DRAIN:
            cost[x] = mb
        case MoveGoal.BALANCE:
            cost[-1] = 1.0
        case MoveGoal.POWER:
            per_core = np.array([(h.full_w - h.idle_w) / h.cores for h in problem.hosts])
            cores = np.array([g.cores for g in problem.functions])
            cost[x] = cores[who[:, 0]] * per_core[who[:, 1]]
            cost[len(x) : len(x) + hosts] = [h.idle_w for h in problem.hosts]
    return cost


def _one_place_each(made: Assembly, problem: MoveProblem, who: Ints, x: Ints) -> None:
    rows = made.rows("placed", len(problem.functions), 1.0, 1.0)
    made.add(rows[who[:, 0]], x, 1.0)


def _room(made: Assembly, problem: MoveProblem, columns: tuple[Ints, Ints, Ints, Ints]) -> None:
    """Cores and memory of what runs on a node fit into it, and it is on."""
    who, x, on, level = columns
    hosts = range(len(problem.hosts))
    for name in ("cores", "memory_mb"):
        sizes = np.array([getattr(host, name) for host in problem.hosts])
        needs = np.array([getattr(function, name) for function in problem.functions])
        shares = needs[who[:, 0]] / sizes[who[:, 1]]
        rows = made.rows(f"room: {name}", len(hosts), -np.inf, 0.0)
        made.add(rows[who[:, 1]], x, shares)
        # A node that is too full already may stay as full as it is.
        now = _shares_now(problem, name)
        made.add(rows, on, -np.maximum(1.0, now))
        if problem.goal is MoveGoal.BALANCE:
            rows = made.rows(f"fullest: {name}", len(hosts), -np.inf, 0.0)
            made.add(rows[who[:, 1]], x, shares)
            made.add(rows, np.broadcast_to(level, len(hosts)), -1.0)
    if problem.goal is MoveGoal.POWER:
        rows = made.rows("on", len(x), -np.inf, 0.0)
        made.add(rows, x, 1.0)
        made.add(rows, on[who[:, 1]], -1.0)
        _enough_nodes(made, problem, on)


def _shares_now(problem: MoveProblem, name: str) -> Floats:
    used = used_now(problem, name)
    return np.array([used[host.name] / getattr(host, name) for host in problem.hosts])


def _enough_nodes(made: Assembly, problem: MoveProblem, on: Ints) -> None:
    """What is on has room for everything: implied, but the solver does not see that it takes whole
    nodes. With the largest nodes that there are, so many must be on."""
    for name in ("cores", "memory_mb"):
        need = sum(getattr(function, name) for function in problem.functions)
        sizes = np.sort([getattr(host, name) for host in problem.hosts])[::-1]
        count = int(np.searchsorted(np.cumsum(sizes), need * (1 - 1e-9))) + 1
        if count <= len(sizes) and not (_shares_now(problem, name) > 1).any():
            row = made.rows(f"nodes: {name}", 1, float(count), np.inf)
            made.add(np.broadcast_to(row, len(on)), on, 1.0)


def _affinity(made: Assembly, problem: MoveProblem, who: Ints, x: Ints) -> None:
    numbers = {function.name: n for n, function in enumerate(problem.functions)}
    hosts = len(problem.hosts)
    for number, group in enumerate(problem.apart):
        rows = made.rows(f"apart {number}", hosts, 0.0, 1.0)
        chosen = np.isin(who[:, 0], [numbers[name] for name in group])
        made.add(rows[who[chosen, 1]], x[chosen], 1.0)
    for number, (a, b) in enumerate(_pairs(problem, numbers)):
        rows = made.rows(f"together {number}", hosts, 0.0, 0.0)
        for function, sign in ((a, 1.0), (b, -1.0)):
            chosen = who[:, 0] == function
            made.add(rows[who[chosen, 1]], x[chosen], sign)


def _pairs(problem: MoveProblem, numbers: dict[str, int]) -> Iterator[tuple[int, int]]:
    for group in problem.together:
        yield from pairwise(sorted(numbers[name] for name in group))


def _limits(made: Assembly, problem: MoveProblem, runs: tuple[Ints, Ints], mb: Floats) -> None:
    who, x = runs
    home = {host.name: n for n, host in enumerate(problem.hosts)}
    homes = np.array([home[function.host] for function in problem.functions], dtype=np.int64)
    moves = who[:, 1] != homes[who[:, 0]]
    if problem.most_moves is not None:
        row = made.rows("moves", 1, 0.0, float(problem.most_moves))
        made.add(np.broadcast_to(row, int(moves.sum())), x[moves], 1.0)
    row = made.rows("bytes", 1, -np.inf, np.inf if problem.most_mb is None else problem.most_mb)
    made.add(np.broadcast_to(row, len(x)), x, mb)
