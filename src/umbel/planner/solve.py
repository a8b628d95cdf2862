"""ViRCA: which nodes to run, where base bands go, who serves what. Problem in, Result out.

ViRCA2 first (its solution is feasible for ViRCA, and it is quick), then ViRCA from there on the
compact program, then whole servers on the infrastructure that was found.
"""

from dataclasses import dataclass, replace

import numpy as np

from umbel.planner import checks, decode, explain, fast, highs, paths, rca
from umbel.planner.fast import Fast
from umbel.planner.highs import Limits, Outcome, Word
from umbel.planner.instance import compile_problem
from umbel.planner.linear import Floats, Ints
from umbel.planner.paths import Routes
from umbel.planner.problem import Goal, Problem, Tradeoff, Variant
from umbel.planner.result import Meaning, Plan, Report, Result


@dataclass(frozen=True, kw_only=True)
class Effort:
    """When to be content: seconds of solving, and a gap as a share of the power with everything
    on. The objective may pass through zero, so a gap relative to it would mean nothing."""

    time_s: float = 60.0
    gap_share: float = 0.005


# Of the time: at most this for the first guess, and what is kept back for whole servers.
_GUESS_TIME = 0.25
_ROUND_TIME = 0.15
# Of the gap: for the choice of nodes, and for whole servers; the rest is what rounding may cost.
_CHOICE_GAP = 0.4
_ROUND_GAP = 0.05


def plan(
    problem: Problem,
    goal: Goal = Tradeoff(),
    variant: Variant = Variant.VIRCA,
    *,
    routes: Routes | None = None,
    effort: Effort = Effort(),
) -> Result:
    """The best configuration. Raises BadProblem, TooManyPaths; infeasible is a value.

    `routes` are those of the problem's network and routing, where the caller has kept them.
    """
    checks.check(problem)
    if routes is None:
        routes = paths.find_routes(problem.network, problem.routing)
    instance = compile_problem(problem, routes, variant)
    program = fast.build(instance, goal)
    gap = effort.gap_share * instance.full_power_w
    left_s = effort.time_s
    start = None
    if variant is Variant.VIRCA and routes.hosts:
        guess = fast.build(compile_problem(problem, routes, Variant.VIRCA2), goal)
        found = highs.solve(guess.linear, Limits(time_s=left_s * _GUESS_TIME, gap=gap))
        left_s -= found.run_s
        start = None if found.values is None else carry_over(guess, found.values, program)
    limits = Limits(time_s=left_s - effort.time_s * _ROUND_TIME, gap=gap * _CHOICE_GAP)
    outcome = highs.solve(program.linear, limits, start)
    return finish(program, outcome, gap, effort.time_s - (left_s - outcome.run_s), effort)


def finish(program: Fast, outcome: Outcome, gap: float, spent_s: float, effort: Effort) -> Result:
    """From the relaxed program's outcome to whole servers and a verdict."""
    report = replace(rca.report_of(program, outcome), run_s=spent_s)
    if outcome.word is Word.INFEASIBLE:
        short = explain.binding(program, max(1.0, effort.time_s - spent_s))
        return Result(meaning=Meaning.INFEASIBLE, plan=None, report=report, binding=short)
    if outcome.values is None:
        return Result(meaning=Meaning.UNKNOWN, plan=None, report=report)
    limits = Limits(
        time_s=max(effort.time_s - spent_s, effort.time_s * _ROUND_TIME), gap=gap * _ROUND_GAP
    )
    return _verdict(program, whole(program, outcome.values, limits), report, gap)


def _verdict(
    program: Fast, rounded: tuple[Plan | None, float], report: Report, gap: float
) -> Result:
    best, took_s = rounded
    if best is None:
        missed = replace(report, objective=np.inf, run_s=report.run_s + took_s)
        return Result(meaning=Meaning.UNKNOWN, plan=None, report=missed)
    report = replace(report, objective=objective(program, best), run_s=report.run_s + took_s)
    good = report.gap <= gap
    return Result(meaning=Meaning.OPTIMAL if good else Meaning.FEASIBLE, plan=best, report=report)


def objective(program: Fast, plan_: Plan) -> float:
    """(1a) of a plan, in W."""
    return plan_.power.total_w - program.instance.watts_per_qoe(program.goal) * plan_.qoe


def whole(program: Fast, values: Floats, limits: Limits) -> tuple[Plan | None, float]:
    """The best plan with whole servers on the nodes and hosts of a solution, and the seconds it
    took; None where these cannot do it in whole servers or in that time."""
    rough = decode.plan_of(program, values)
    confined = decode.confine(program.instance, rough.infrastructure)
    exact = fast.build(confined, program.goal, whole_servers=True)
    exact = decode.fix_switches(exact, rough.infrastructure)
    outcome = highs.solve(exact.linear, limits)
    plans = [] if decode.overfull(program.instance, rough.infrastructure) else [rough]
    if outcome.values is not None:
        plans.append(decode.plan_of(exact, outcome.values))
    return min(plans, key=lambda p: objective(program, p), default=None), outcome.run_s


def carry_over(source: Fast, values: Floats, target: Fast) -> Floats:
    """A solution of one program as one of another with the same problem and at least as many
    columns: places that the first one lacks stay zero."""
    made = np.zeros(len(target.linear.cost))
    for family, columns in target.linear.columns.items():
        mine, theirs = _places(target, family), _places(source, family)
        order = np.argsort(theirs, kind="stable")
        at = np.searchsorted(theirs, mine, sorter=order)
        at = order[np.minimum(at, len(order) - 1)] if len(order) else at
        same = theirs[at] == mine if len(order) else np.zeros(len(mine), dtype=bool)
        made[columns[same]] = values[source.linear.columns[family][at[same]]]
    return made


def _places(program: Fast, family: str) -> Ints:
    """One number for what each column of a family is about."""
    at, instance = program.places, program.instance
    width = max(instance.nodes, len(instance.paths), len(instance.commodities)) + 1
    pairs = {
        "share": (at.share_commodity, at.share_node),
        "hit": (at.hit_content, at.hit_node),
        "z": (at.host_end, at.host_node),
        "flow": (at.flow_end, at.flow_path),
    }
    if family in pairs:
        one, other = pairs[family]
        return one * width + other
    if family == "shed":
        slope = np.unique(at.shed_slope, return_inverse=True)[1]
        return (slope * width + at.shed_end) * width + at.shed_node
    return np.arange(len(program.linear.columns[family]))
