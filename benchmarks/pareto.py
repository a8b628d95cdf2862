"""A Pareto front of 30 points: ten weights of quality for each of the three variants."""

import _planning

from umbel.planner import fast, highs, instance, paths, solve
from umbel.planner.highs import Limits
from umbel.planner.paths import Routes
from umbel.planner.problem import Problem, Tradeoff, Variant
from umbel.planner.result import Result
from umbel.planner.solve import Effort

GAMMAS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 3.0, 10.0)
EFFORT = Effort(time_s=30.0, gap_share=0.005)
POINTS = [(variant, gamma) for variant in Variant for gamma in GAMMAS]


def front(problem: Problem, routes: Routes) -> list[Result]:
    """All points, one after the other."""
    return [
        solve.plan(problem, Tradeoff(gamma=gamma), variant, routes=routes, effort=EFFORT)
        for variant, gamma in POINTS
    ]


def search(problem: Problem, routes: Routes) -> None:
    """The same points by the solver's branching search on the compact form alone."""
    for variant, gamma in POINTS:
        compiled = instance.compile_problem(problem, routes, variant)
        gap = EFFORT.gap_share * compiled.full_power_w
        program = fast.build(compiled, Tradeoff(gamma=gamma), whole_servers=True)
        highs.solve(program.linear, Limits(time_s=EFFORT.time_s, gap=gap))


def case(load: float, routes: Routes, beside: bool) -> None:
    """One load; the peer only where it ends in sensible time."""
    problem = _planning.fmc_problem(load)
    value, results = _planning.timed(lambda: front(problem, routes), 1)
    words = [result.meaning.value for result in results]
    _planning.note(", ".join(f"{words.count(word)} {word}" for word in sorted(set(words))))
    peer = _planning.timed(lambda: search(problem, routes), 1)[0] if beside else None
    name = "HiGHS on the compact form" if beside else None
    _planning.tell("pareto", f"load-{load:g}-30-points", value, name, peer, 1)


def main() -> None:
    """A light and a full load."""
    routes = paths.find_routes(_planning.topologies.fmc_tree(), _planning.presets.FMC_ROUTING)
    case(0.05, routes, beside=True)
    case(1.0, routes, beside=False)


if __name__ == "__main__":
    main()
