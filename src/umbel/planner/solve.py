"""ViRCA: which nodes to run, where base bands go, who serves what. Problem in, Result out.

A dive first; where its gap is too wide, ViRCA2, whose solution is feasible for ViRCA; then the
branching search from the better of them; then whole servers on what was chosen; and where that
cost too much, the search in whole servers. Where time ran out, a plan that needs no search.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from umbel.planner import (
    checks,
    explain,
    fallback,
    fast,
    heuristics,
    highs,
    paths,
    rca,
    rounding,
)
from umbel.planner.fast import Fast
from umbel.planner.heuristics import Enough
from umbel.planner.highs import Limits, Outcome, Word
from umbel.planner.instance import compile_problem
from umbel.planner.linear import Floats, Ints
from umbel.planner.paths import Routes
from umbel.planner.problem import Effort, Goal, Problem, Tradeoff, Variant
from umbel.planner.result import Meaning, Plan, Report, Result


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is being done now, the best objective so far and the bound, in W."""

    stage: str
    objective: float = np.inf
    bound: float = -np.inf

    @property
    def gap(self) -> float:
        """How much better a plan could still be."""
        return max(0.0, self.objective - self.bound)


OnProgress = Callable[[Progress], None]


def ignore_progress(_progress: Progress) -> None:
    """For who does not want to know."""


# Of the time: at most this for a dive of ViRCA2, and what is kept back for whole servers.
_GUESS_TIME = 0.25
_ROUND_TIME = 0.15
# Of the gap: for the choice of nodes, and for whole servers; the rest is what rounding may cost.
_CHOICE_GAP = 0.4
_ROUND_GAP = 0.05
# Seconds for a plan where there is none yet, whatever the limit was.
_LAST_S = 2.0


def plan(
    problem: Problem,
    goal: Goal = Tradeoff(),
    variant: Variant = Variant.VIRCA,
    *,
    routes: Routes | None = None,
    effort: Effort = Effort(),
    on_progress: OnProgress = ignore_progress,
) -> Result:
    """The best configuration. Raises BadProblem, TooManyPaths; infeasible is a value.

    `routes` are those of the problem's network and routing, where the caller has kept them;
    `on_progress` gets what is being done.
    """
    checks.check(problem)
    if routes is None:
        routes = paths.find_routes(problem.network, problem.routing)
    instance = compile_problem(problem, routes, variant)
    program = fast.build(instance, goal)
    gap = effort.gap_share * instance.full_power_w
    limits = limits_of(effort, gap)

    def enough(found: Outcome) -> bool:
        """Whether whole servers, which often cost next to nothing, keep it within the gap."""
        if found.objective - found.bound > gap:
            return False
        made, _s = rounding.whole(program, found, replace(limits, gap=gap * _ROUND_GAP))
        return made is not None and rounding.objective(program, made) - found.bound <= gap

    outcome = choose(program, limits, on_progress, enough)
    on_progress(Progress(stage="whole servers", objective=outcome.objective, bound=outcome.bound))
    return finish(program, outcome, gap, effort)


def limits_of(effort: Effort, gap: float) -> Limits:
    """Time and gap for the choice of nodes and hosts; the rest is for whole servers."""
    return Limits(time_s=effort.time_s * (1 - _ROUND_TIME), gap=gap * _CHOICE_GAP)


def choose(
    program: Fast,
    limits: Limits,
    on_progress: OnProgress = ignore_progress,
    enough: Enough = heuristics.never,
) -> Outcome:
    """Nodes and hosts: the compact program within limits, or as far as is `enough`."""
    on_progress(Progress(stage="diving"))
    outcome = heuristics.dive(program.linear, limits, enough=enough)
    movable = program.instance.variant is Variant.VIRCA and bool(program.instance.routes.hosts)
    if outcome.word is Word.LIMIT and movable:
        on_progress(Progress(stage="virca2", objective=outcome.objective, bound=outcome.bound))
        better = _with_guess(program, outcome, limits)
        if better.objective < outcome.objective and enough(better):
            return replace(better, word=Word.OPTIMAL)
        outcome = better
    if outcome.word is Word.LIMIT and outcome.run_s < limits.time_s:
        on_progress(Progress(stage="branching", objective=outcome.objective, bound=outcome.bound))
        outcome = _search(program, outcome, limits)
    return outcome


def _with_guess(program: Fast, outcome: Outcome, limits: Limits) -> Outcome:
    """The better of an outcome and what ViRCA2 comes to."""
    instance = program.instance
    simple = compile_problem(instance.problem, instance.routes, Variant.VIRCA2)
    guess = fast.build(simple, program.goal)
    left_s = min(limits.time_s - outcome.run_s, limits.time_s * _GUESS_TIME)
    found = heuristics.dive(guess.linear, replace(limits, time_s=left_s))
    spent = replace(outcome, run_s=outcome.run_s + found.run_s)
    if found.values is None or found.objective >= outcome.objective:
        return spent
    close = found.objective - outcome.bound <= limits.gap
    return replace(
        spent,
        word=Word.OPTIMAL if close else Word.LIMIT,
        objective=found.objective,
        values=carry_over(guess, found.values, program),
        basis=None,
    )


def _search(program: Fast, outcome: Outcome, limits: Limits) -> Outcome:
    """The branching search from an outcome; never worse than it."""
    left = replace(limits, time_s=limits.time_s - outcome.run_s)
    found = highs.solve(program.linear, left, outcome.values)
    run_s = outcome.run_s + found.run_s
    if found.values is None or found.objective > outcome.objective:
        found = replace(
            found, objective=outcome.objective, values=outcome.values, basis=outcome.basis
        )
    return replace(found, bound=max(found.bound, outcome.bound), run_s=run_s)


def finish(
    program: Fast, outcome: Outcome, gap: float, effort: Effort, *, all_paths: bool = True
) -> Result:
    """From the relaxed program's outcome to whole servers and a verdict. Without `all_paths` the
    program lacks paths, so that its own bounds are none."""
    report = rca.report_of(program, outcome)
    left_s = max(effort.time_s - outcome.run_s, effort.time_s * _ROUND_TIME)
    if outcome.word is Word.INFEASIBLE:
        short = explain.binding(program, left_s)
        return Result(meaning=Meaning.INFEASIBLE, plan=None, report=report, binding=short)
    limits = Limits(time_s=left_s, gap=gap * _ROUND_GAP)
    best, took_s = rounding.whole(program, outcome, limits)
    if best is None:
        # A plan far from the best is better than none: this may take a little longer.
        some, more_s = fallback.plans(
            program, replace(limits, time_s=max(left_s - took_s, _LAST_S))
        )
        best = min(some, key=lambda one: rounding.objective(program, one), default=None)
        took_s += more_s
    report = replace(report, run_s=report.run_s + took_s)
    if best is not None and took_s < left_s:
        limits = Limits(time_s=left_s - took_s, gap=gap)
        best, report = _in_whole_servers(program, best, report, limits, all_paths)
    return _verdict(program, best, report, gap)


def _in_whole_servers(
    program: Fast, best: Plan, report: Report, limits: Limits, all_paths: bool
) -> tuple[Plan, Report]:
    """Where rounding cost more than the gap allows: nodes, hosts and servers chosen together."""
    known = rounding.objective(program, best)
    if known - report.bound <= limits.gap or program.whole_servers:
        return best, report
    found, outcome = rounding.search(program, best, limits)
    if found is not None and rounding.objective(program, found) < known:
        best = found
    bound = max(report.bound, outcome.bound) if all_paths else report.bound
    return best, replace(
        report,
        bound=bound,
        word=outcome.word if outcome.word is Word.OPTIMAL else report.word,
        run_s=report.run_s + outcome.run_s,
        branch_nodes=report.branch_nodes + outcome.branch_nodes,
    )


def _verdict(program: Fast, best: Plan | None, report: Report, gap: float) -> Result:
    if best is None:
        missed = replace(report, objective=np.inf)
        return Result(meaning=Meaning.UNKNOWN, plan=None, report=missed)
    report = replace(report, objective=rounding.objective(program, best))
    meaning = Meaning.OPTIMAL if report.gap <= gap else Meaning.FEASIBLE
    return Result(meaning=meaning, plan=best, report=report)


def carry_over(source: Fast, values: Floats, target: Fast, into: Floats | None = None) -> Floats:
    """A solution of one program as one of another with the same problem and at least as many
    columns: places that the first one lacks stay zero, or as `into` has them."""
    made = np.zeros(len(target.linear.cost)) if into is None else into
    for family, columns in target.linear.columns.items():
        mine, theirs = _places(target, family), _places(source, family)
        shared, at, there = np.intersect1d(mine, theirs, return_indices=True)
        if len(shared):
            made[columns[at]] = values[source.linear.columns[family][there]]
    return made


def _places(program: Fast, family: str) -> Ints:
    """One number for what each column of a family is about."""
    at, instance = program.places, program.instance
    # Wider than any number of paths, so that programs over other paths count alike.
    width = 1 << 31
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
        slope = np.searchsorted(np.unique(instance.commodities.slope), at.shed_slope)
        return (slope * len(instance.ends) + at.shed_end) * width + at.shed_node
    if family == "y":
        return at.fill_path
    return np.arange(len(program.linear.columns[family]))
