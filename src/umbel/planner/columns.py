"""ViRCA over paths that are not listed: column generation on IP paths.

For networks where all chains of lightpaths do not fit. The bound is that of the program over all
chains of at most `lightpaths_per_path`; the plan comes from the paths generated, and once more
with those that its own nodes and hosts would want. `Routing.follow_fibre` plays no part.
"""

from dataclasses import dataclass, replace

import numpy as np

from umbel.planner import checks, explain, fast, heuristics, paths, pricing, solve
from umbel.planner.fast import Fast
from umbel.planner.highs import Basis, Limits, Method, Outcome, Session, Word
from umbel.planner.instance import Instance, compile_problem, with_paths
from umbel.planner.linear import Floats, Linear
from umbel.planner.problem import Effort, Goal, Problem, Tradeoff, Variant
from umbel.planner.result import Result

# How often the paths may be completed for the nodes and hosts that a solution chose.
_ROUNDS = 4
_EXCESS = 1e-7
# HiGHS' number for a column at its lower bound.
_AT_LOWER = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Generated:
    """A program with the paths that it needs, its outcome without whole numbers, whether no path
    is missing, and how often paths were sought."""

    program: Fast
    outcome: Outcome
    complete: bool
    rounds: int


def plan(
    problem: Problem,
    goal: Goal = Tradeoff(),
    variant: Variant = Variant.VIRCA,
    *,
    effort: Effort = Effort(),
) -> Result:
    """The best configuration over all chains of lightpaths. Raises BadProblem."""
    checks.check(problem)
    instance = start(problem, variant)
    gap = effort.gap_share * instance.full_power_w
    limits = solve.limits_of(effort, gap)
    root = generate(instance, goal, limits)
    program, outcome = root.program, root.outcome
    if outcome.word is not Word.OPTIMAL:
        return solve.finish(program, replace(outcome, values=None), gap, effort)
    bound = outcome.bound if root.complete else -np.inf
    program, outcome = _whole(program, outcome, bound, limits)
    return solve.finish(program, outcome, gap, effort, all_paths=False)


def start(problem: Problem, variant: Variant = Variant.VIRCA) -> Instance:
    """The instance with one path for each pair."""
    routes = paths.find_routes(problem.network, problem.routing, list_paths=False)
    bare = compile_problem(problem, routes, variant)
    return with_paths(bare, tuple(pricing.seeds(bare)))


def generate(instance: Instance, goal: Goal, limits: Limits) -> Generated:
    """Adds paths until none has a negative reduced cost, first for a feasible program."""
    program = fast.build(instance, goal)
    outcome = Session(program.linear.relaxed()).run(limits, Method.INTERIOR)
    spent_s = outcome.run_s
    if outcome.word is Word.INFEASIBLE:
        program, outcome = _make_feasible(program, replace(limits, time_s=limits.time_s - spent_s))
        spent_s += outcome.run_s
    found = _complete(program, outcome, replace(limits, time_s=limits.time_s - spent_s))
    spent_s += found.outcome.run_s
    return replace(found, outcome=replace(found.outcome, run_s=spent_s))


def _complete(program: Fast, outcome: Outcome, limits: Limits) -> Generated:
    """From a program's outcome on: prices, adds what is wanted, goes on from the basis."""
    spent_s, rounds = 0.0, 0
    while outcome.word is Word.OPTIMAL and outcome.row_duals is not None:
        fresh = pricing.wanted(program, outcome.row_duals)
        if not fresh or spent_s >= limits.time_s:
            done = replace(outcome, run_s=spent_s)
            return Generated(program=program, outcome=done, complete=not fresh, rounds=rounds)
        wider = widen(program, fresh)
        session = Session(wider.linear.relaxed())
        if outcome.basis is not None:
            session.start_from(_carried(program, outcome.basis, wider))
        program, rounds = wider, rounds + 1
        left = replace(limits, time_s=limits.time_s - spent_s)
        outcome = session.run(left, Method.PRIMAL)
        spent_s += outcome.run_s
    ended = replace(outcome, run_s=spent_s)
    return Generated(program=program, outcome=ended, complete=False, rounds=rounds)


def _make_feasible(program: Fast, limits: Limits) -> tuple[Fast, Outcome]:
    """Adds the paths that lessen what is exceeded; infeasible when no path is left that does."""
    spent_s = 0.0
    while True:
        easy, families = explain.elastic(program.linear)
        left = replace(limits, time_s=limits.time_s - spent_s)
        outcome = Session(easy.relaxed()).run(left, Method.INTERIOR)
        spent_s += outcome.run_s
        if outcome.values is None or outcome.row_duals is None:
            return program, replace(outcome, run_s=spent_s)
        if outcome.values[-len(families) :].sum() <= _EXCESS:
            break
        fresh = pricing.wanted(program, outcome.row_duals)
        if not fresh:
            return program, replace(outcome, word=Word.INFEASIBLE, values=None, run_s=spent_s)
        program = widen(program, fresh)
    left = replace(limits, time_s=limits.time_s - spent_s)
    outcome = Session(program.linear.relaxed()).run(left, Method.INTERIOR)
    return program, replace(outcome, run_s=spent_s + outcome.run_s)


def widen(program: Fast, fresh: list[paths.Path]) -> Fast:
    """The same program over further paths; columns that were fixed stay fixed."""
    instance = with_paths(program.instance, (*program.instance.paths, *fresh))
    wider = fast.build(instance, program.goal, whole_servers=program.whole_servers)
    lower, upper = wider.linear.lower.copy(), wider.linear.upper.copy()
    for letter in "zgr":
        mine, theirs = wider.linear.columns[letter], program.linear.columns[letter]
        lower[mine] = program.linear.lower[theirs]
        upper[mine] = program.linear.upper[theirs]
    return replace(wider, linear=replace(wider.linear, lower=lower, upper=upper))


def _carried(program: Fast, basis: Basis, wider: Fast) -> Basis:
    """The basis of a program for one with more paths: new columns are at zero."""
    status = np.array(basis.columns, dtype=np.float64)
    columns = np.full(len(wider.linear.cost), float(_AT_LOWER))
    carried = solve.carry_over(program, status, wider, into=columns)
    return Basis(columns=tuple(carried.astype(int).tolist()), rows=basis.rows)


def _whole(program: Fast, root: Outcome, bound: float, limits: Limits) -> tuple[Fast, Outcome]:
    """Whole numbers: choose with the paths there are, complete them for that choice, again."""
    best, spent_s = replace(root, values=None, basis=None, objective=np.inf), root.run_s
    start = root.basis
    for _round in range(_ROUNDS):
        left = replace(limits, time_s=limits.time_s - spent_s)
        found = heuristics.dive(program.linear, left, start)
        spent_s += found.run_s
        best = min(best, found, key=lambda outcome: outcome.objective)
        if found.values is None or best.objective - bound <= limits.gap:
            break
        fixed = replace(program, linear=_fixed(program.linear, found))
        first = Session(fixed.linear.relaxed()).run(left)
        wider = _complete(fixed, first, left)
        spent_s += first.run_s + wider.outcome.run_s
        if len(wider.program.instance.paths) == len(program.instance.paths):
            break
        known, program = program, fast.build(wider.program.instance, program.goal)
        start = None
        best = replace(best, values=_grown(known, best, program), basis=None)
    if best.objective - bound > limits.gap and spent_s < limits.time_s:
        left = replace(limits, time_s=limits.time_s - spent_s)
        found = solve.choose(program, left)
        spent_s += found.run_s
        best = min(best, found, key=lambda outcome: outcome.objective)
    word = Word.OPTIMAL if best.objective - bound <= limits.gap else Word.LIMIT
    return program, replace(best, word=word, bound=bound, run_s=spent_s)


def _grown(known: Fast, best: Outcome, program: Fast) -> Floats | None:
    return None if best.values is None else solve.carry_over(known, best.values, program)


def _fixed(linear: Linear, found: Outcome) -> Linear:
    whole = np.flatnonzero(linear.integer)
    lower, upper = linear.lower.copy(), linear.upper.copy()
    if found.values is not None:
        lower[whole] = upper[whole] = np.rint(found.values[whole])
    return replace(linear, lower=lower, upper=upper)
