"""What no choice of moves can beat: the goal when functions are as fine as sand, but nodes are
whole. A small program, solved exactly."""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import numpy as np

from umbel.planner import highs
from umbel.planner.highs import Limits, Outcome
from umbel.planner.linear import Assembly, Floats, Ints
from umbel.planner.moves.model import Host, MoveGoal, MoveProblem

_NAMES = ("cores", "memory_mb")
_TIME_S = 1.0


def bound(problem: MoveProblem, goal: Floats, who: Ints) -> float:
    """The goal of any choice is at least this. `who` has the pairs of function and node that are
    allowed, by number."""
    hosts = [problem.hosts[h] for h in np.unique(who[:, 1])]
    match problem.goal:
        case MoveGoal.BALANCE:
            return max(_fullest(problem, hosts, name) for name in _NAMES)
        case MoveGoal.POWER:
            return _power(problem, hosts)
        case MoveGoal.DRAIN:
            cheapest = np.full(len(problem.functions), np.inf)
            np.minimum.at(cheapest, who[:, 0], goal[: len(who)])
            return float(cheapest.sum())


def _unit(values: Iterable[float]) -> float:
    """The largest amount of which all are multiples; 0 where there is none worth its name."""
    found = Fraction(0)
    for value in values:
        one = Fraction(value).limit_denominator(1000)
        if abs(float(one) - value) > 1e-9:
            return 0.0
        found = Fraction(
            math.gcd(found.numerator * one.denominator, one.numerator * found.denominator),
            found.denominator * one.denominator,
        )
    return float(found)


def _fullest(problem: MoveProblem, hosts: Sequence[Host], name: str) -> float:
    """The least share of the nodes' room, the same for all, that has room for everything: of each
    node as many whole units as fit into that share."""
    needs = [getattr(function, name) for function in problem.functions]
    sizes = np.array([getattr(host, name) for host in hosts])
    total, unit = sum(needs), _unit(needs)
    least = total / sizes.sum()
    if not unit:
        return float(least)
    steps = np.unique(
        np.concatenate([np.arange(1, size // unit + 1) * unit / size for size in sizes])
    )
    for share in steps[steps >= least * (1 - 1e-12)]:
        if (np.floor(share * sizes / unit + 1e-9) * unit).sum() >= total - 1e-9:
            return float(share)
    return float(least)


def used_now(problem: MoveProblem, name: str) -> Mapping[str, float]:
    """The cores or the memory that is used on each node before the moves."""
    used = dict.fromkeys((host.name for host in problem.hosts), 0.0)
    for function in problem.functions:
        used[function.host] += getattr(function, name)
    return used


def _power(problem: MoveProblem, hosts: Sequence[Host]) -> float:
    """The least watts of nodes that have room for all cores and all memory."""
    return max(_nodes(problem, hosts, 1.0).bound, 0.0)


def cheapest_nodes(problem: MoveProblem, who: Ints, spare: float) -> frozenset[str]:
    """The nodes of the least watts that have room for so many times what is needed; all that may
    be used, where they have not."""
    hosts = [problem.hosts[h] for h in np.unique(who[:, 1])]
    values = _nodes(problem, hosts, spare).values
    on = np.ones(len(hosts)) if values is None else values[len(hosts) :]
    return frozenset(host.name for host, is_on in zip(hosts, on, strict=True) if is_on > 0.5)


def _nodes(problem: MoveProblem, hosts: Sequence[Host], spare: float) -> Outcome:
    count, made = len(hosts), Assembly()
    per_core = np.array([(host.full_w - host.idle_w) / host.cores for host in hosts])
    idle_w = np.array([host.idle_w for host in hosts])
    load = made.columns("cores", count, cost=per_core)
    on = made.columns("on", count, upper=1.0, integer=True, cost=idle_w)
    for name in _NAMES:
        needs = [getattr(function, name) for function in problem.functions]
        unit, total, used = _unit(needs), sum(needs), used_now(problem, name)
        # A node that is too full already may stay as full as it is.
        sizes = np.array([max(getattr(h, name), used[h.name]) for h in hosts])
        whole = np.floor(sizes / unit + 1e-9) * unit if unit else sizes
        row = made.rows(f"room: {name}", 1, total * spare, np.inf)
        made.add(np.broadcast_to(row, count), on, whole)
        if name == "cores":
            row = made.rows("all", 1, total, total)
            made.add(np.broadcast_to(row, count), load, 1.0)
            rows = made.rows("loads", count, -np.inf, 0.0)
            made.add(rows, load, 1.0)
            made.add(rows, on, -whole)
    return highs.solve(made.done(), Limits(time_s=_TIME_S, gap=1e-6))
