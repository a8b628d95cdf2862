"""A piece of work for a solver that may run elsewhere: Job in, Answer out. Both can be pickled as
long as a problem's mappings are plain dicts."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from umbel.planner import admission, drift, paths
from umbel.planner.admission import Guide
from umbel.planner.paths import Routes
from umbel.planner.problem import Effort, Goal, Problem
from umbel.planner.result import Infrastructure, Result

if TYPE_CHECKING:
    from umbel.planner.rca import Start

ENOUGH = 0.999
"""A share of the best quality that counts as all of it."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """ViRCA on the first of the problems that can be served in full, else on the last; with an
    infrastructure, RCA on the first problem, from the `start` that an earlier answer gave."""

    problems: tuple[Problem, ...]
    goal: Goal
    effort: Effort
    infrastructure: Infrastructure | None = None
    start: "Start | None" = None

    def __post_init__(self) -> None:
        if not self.problems:
            raise ValueError("a job has a problem")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The result, for which of the problems, its QoE as a share of all demand at its best (1
    without demand; 0 without a plan), the plan as Algorithm 2 reads it, and where RCA may start
    the next time."""

    problem: Problem
    result: Result
    share: float
    guide: Guide | None = None
    start: "Start | None" = None


def run(job: Job) -> Answer:
    """Do it. Raises BadProblem, TooManyPaths, BadInfrastructure."""
    for problem in job.problems:
        routes = paths.find_routes(problem.network, problem.routing)
        result, start = _solved(job, problem, routes)
        found = replace(_answer(problem, routes, result), start=start)
        if job.infrastructure is not None or found.share >= ENOUGH:
            break
    return found


def _solved(job: Job, problem: Problem, routes: Routes) -> tuple[Result, "Start | None"]:
    # The libraries of the solver load where it works, and not where a job is made.
    from umbel.planner import rca, solve  # noqa: PLC0415

    if job.infrastructure is None:
        return solve.plan(problem, job.goal, routes=routes, effort=job.effort), None
    kept, time_s = job.infrastructure, job.effort.time_s
    found = rca.solve(problem, kept, routes=routes, start=job.start, time_s=time_s)
    return found.result, found.start


def _answer(problem: Problem, routes: Routes, result: Result) -> Answer:
    if result.plan is None:
        return Answer(problem=problem, result=result, share=0.0)
    return Answer(
        problem=problem,
        result=result,
        share=drift.share_of(problem, result.plan),
        guide=admission.guide_of(problem, routes, result.plan),
    )
