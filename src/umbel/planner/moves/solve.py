"""Which function goes where: a MoveProblem in, a MovePlan out."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from umbel.planner import highs
from umbel.planner.highs import Limits, Outcome, Word
from umbel.planner.linear import Floats, Linear
from umbel.planner.moves import order, program
from umbel.planner.moves.bound import cheapest_nodes
from umbel.planner.moves.check import check
from umbel.planner.moves.model import (
    Host,
    HostedFunction,
    MoveEffort,
    MoveGoal,
    MovePlan,
    MoveProblem,
    NoMoves,
    Standing,
)
from umbel.planner.moves.packing import packed
from umbel.planner.moves.program import Program

_FIRST_SHARE = 0.6
"""Of the time: for the first try."""
_LEAST_S = 0.2
_SPARE = (1.0, 1.01, 1.02, 1.05, 1.1, 1.2)
"""How much more room than is needed nodes are tried with, to pack functions into them."""


def plan(problem: MoveProblem, effort: MoveEffort = MoveEffort()) -> MovePlan:
    """The best moves. Raises BadMoves, and NoMoves with the reason where none do what is asked."""
    check(problem)
    if not problem.functions:
        idle = standing(problem, {})
        return MovePlan(moves=(), before=idle, after=idle, objective=0.0, bound=0.0, run_s=0.0)
    _check_places(problem)
    made = program.build(problem)
    found = _chosen(problem, made, effort)
    if found.values is None:
        raise NoMoves(_why_none(problem, found))
    values, run_s = found.values, found.run_s
    places = _places(problem, made, values)
    after = standing(problem, places)
    reached = {
        MoveGoal.DRAIN: float(made.goal @ values),
        MoveGoal.BALANCE: after.fullest,
        MoveGoal.POWER: after.watts,
    }
    return MovePlan(
        moves=order.ordered(problem, places),
        before=standing(problem, {function.name: function.host for function in problem.functions}),
        after=after,
        objective=reached[problem.goal],
        bound=max(made.least, found.bound, 0.0),
        run_s=run_s,
    )


def standing(problem: MoveProblem, places: Mapping[str, str]) -> Standing:
    """How the nodes are used when functions run at these places."""
    used = {host.name: [0.0, 0.0] for host in problem.hosts}
    for function in problem.functions:
        used[places[function.name]][0] += function.cores
        used[places[function.name]][1] += function.memory_mb
    shares, watts = [], 0.0
    for host in problem.hosts:
        cores, memory_mb = used[host.name]
        shares += [cores / host.cores, memory_mb / host.memory_mb]
        if cores or memory_mb or host.name in places.values():
            watts += host.idle_w + (host.full_w - host.idle_w) * cores / host.cores
    return Standing(
        fullest=max(shares),
        watts=watts,
        used={name: (cores, memory_mb) for name, (cores, memory_mb) in used.items()},
    )


def _chosen(problem: MoveProblem, made: Program, effort: MoveEffort) -> Outcome:
    """The fewest bytes for a goal within the gap of what nothing can beat; where that is not found,
    the best for the goal, and for it the fewest bytes. The bound is the goal's."""
    start = _start(problem, made, effort)
    if problem.goal is MoveGoal.DRAIN:
        limits = Limits(time_s=effort.time_s, gap=effort.gap_share * made.least)
        return highs.solve(replace(made.linear, cost=made.goal), limits, start)
    most = made.least * (1 + effort.gap_share)
    is_good = start is not None and float(made.goal @ start) <= most
    limits = Limits(time_s=effort.time_s * _FIRST_SHARE, gap=1e-6)
    found = highs.solve(_with_most(made, most), limits, start if is_good else None)
    if found.values is not None:
        return replace(found, bound=made.least)
    left = Limits(time_s=effort.time_s - found.run_s, gap=effort.gap_share * made.least)
    best = highs.solve(replace(made.linear, cost=made.goal), left, start)
    run_s = found.run_s + best.run_s
    if best.values is None:
        return replace(best, run_s=run_s)
    most = max(float(made.goal @ best.values), best.bound * (1 + effort.gap_share))
    left = Limits(time_s=max(effort.time_s - run_s, _LEAST_S), gap=1e-6)
    found = highs.solve(_with_most(made, most), left, best.values)
    values = best.values if found.values is None else found.values
    return replace(best, values=values, run_s=run_s + found.run_s)


def _with_most(made: Program, most: float) -> Linear:
    """The fewest bytes, for a goal of that much at most."""
    upper = made.linear.row_upper.copy()
    upper[made.linear.rows["goal"]] = most + 1e-9
    cost = np.zeros(len(made.goal))
    cost[made.x] = made.mb
    return replace(made.linear, row_upper=upper, cost=cost)


def _places(problem: MoveProblem, made: Program, values: Floats) -> dict[str, str]:
    chosen = made.pairs[values[made.x] > 0.5]
    return {problem.functions[g].name: problem.hosts[h].name for g, h in chosen.tolist()}


def _start(problem: MoveProblem, made: Program, effort: MoveEffort) -> Floats | None:
    """Values to begin from: functions packed for the goal, or where they run now."""
    places: dict[str, str] | None = None
    match problem.goal:
        case MoveGoal.BALANCE:
            names = [host.name for host in problem.hosts]
            places = packed(problem, names, made.least * (1 + effort.gap_share))
        case MoveGoal.POWER:
            choices = (cheapest_nodes(problem, made.pairs, spare) for spare in _SPARE)
            found = (packed(problem, nodes) for nodes in choices)
            places = next((one for one in found if one is not None), None)
    now = {function.name: function.host for function in problem.functions}
    return _values(problem, made, now if places is None else places)


def _values(problem: MoveProblem, made: Program, places: Mapping[str, str]) -> Floats | None:
    """The columns' values for these places; None where one is not allowed."""
    number = {host.name: n for n, host in enumerate(problem.hosts)}
    targets = np.array([number[places[g.name]] for g in problem.functions], dtype=np.int64)
    chosen = made.pairs[:, 1] == targets[made.pairs[:, 0]]
    if chosen.sum() < len(problem.functions):
        return None
    values = np.zeros(len(made.goal))
    values[made.x[chosen]] = 1.0
    values[made.on[np.unique(targets)]] = 1.0
    values[-1] = standing(problem, places).fullest
    return values


def _check_places(problem: MoveProblem) -> None:
    """Raises NoMoves for functions that no node takes alone, with what keeps them."""
    for function in problem.functions:
        places = [host for host in problem.hosts if program.allowed(problem, function, host)]
        if not places:
            raise NoMoves(f"No node may take {function.name}: {_why_not(problem, function)}.")
        if not any(_holds(host, function) or host.name == function.host for host in places):
            raise NoMoves(
                f"No node has room for {function.name}, which needs {function.cores:g} cores and"
                f" {function.memory_mb:g} MB."
            )


def _holds(host: Host, function: HostedFunction) -> bool:
    return function.cores <= host.cores and function.memory_mb <= host.memory_mb


def _why_not(problem: MoveProblem, function: HostedFunction) -> str:
    if function.pinned:
        return f"it is pinned to {function.host}, which is to be empty"
    others = [h for h in problem.hosts if h.name != function.host]
    open_ = [h for h in others if not (h.closed or h.drained)]
    if not open_:
        return "all others are closed or are to be empty"
    if function.hosts and not any(h.name in function.hosts for h in open_):
        return f"it may run only on {', '.join(sorted(function.hosts))}"
    if function.within_s is None:
        return f"no rate is free from {function.host} to any of them"
    return f"it cannot be moved within {function.within_s:g} s at the rate that is free"


def _why_none(problem: MoveProblem, found: Outcome) -> str:
    if found.word is Word.LIMIT:
        return "No moves were found in time: give more seconds."
    for name, unit in (("cores", "cores"), ("memory_mb", "MB of memory")):
        need = sum(getattr(function, name) for function in problem.functions)
        have = sum(getattr(host, name) for host in problem.hosts if not host.drained)
        if need > have:
            return f"The functions need {need:g} {unit}; the nodes that stay have {have:g}."
    if problem.most_moves is not None or problem.most_mb is not None:
        return "No moves within the limits do it: allow more moves or more bytes."
    return "The functions do not fit, or what must be apart or together cannot be."
