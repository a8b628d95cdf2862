"""A Pareto front of 30 points: ten weights of quality for each of the three variants.

Points are independent, so CPU seconds over two are those of two cores.
"""

import _planning

from umbel.planner import fast, formulation, highs, instance, paths, solve
from umbel.planner.highs import Limits
from umbel.planner.paths import Routes
from umbel.planner.problem import Effort, Problem, Tradeoff, Variant
from umbel.planner.result import Result

GAMMAS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 3.0, 10.0)
EFFORT = Effort(time_s=30.0, gap_share=0.005)
MIDDLE = 1.0
PAPER_LIMIT_S = 120.0
# Seconds of two cores for the whole front: so many CPU seconds twice.
LIMIT_S = 300.0
POINTS = [(variant, gamma) for variant in Variant for gamma in GAMMAS]


def front(problem: Problem, routes: Routes, gammas: tuple[float, ...] = GAMMAS) -> list[Result]:
    """All points, one after the other."""
    return [
        solve.plan(problem, Tradeoff(gamma=gamma), variant, routes=routes, effort=EFFORT)
        for variant in Variant
        for gamma in gammas
    ]


def second(problem: Problem, routes: Routes) -> None:
    """The same points by PySCIPOpt on the compact form."""
    for variant, gamma in POINTS:
        compiled = instance.compile_problem(problem, routes, variant)
        gap = EFFORT.gap_share * compiled.full_power_w
        program = fast.build(compiled, Tradeoff(gamma=gamma), whole_servers=True)
        _planning.scip(program.linear, EFFORT.time_s, gap)


def literal(problem: Problem, routes: Routes) -> None:
    """Each variant's middle point by the paper's program."""
    for variant in Variant:
        compiled = instance.compile_problem(problem, routes, variant)
        gap = EFFORT.gap_share * compiled.full_power_w
        program = formulation.build(compiled, Tradeoff(gamma=MIDDLE)).pruned()
        found = highs.solve(program, Limits(time_s=PAPER_LIMIT_S, gap=gap))
        _planning.note(f"paper form, {variant}: {found.word}")


def case(load: float, routes: Routes, compare: bool) -> None:
    """One load; the peers only where they end in sensible time."""
    problem = _planning.fmc_problem(load)
    value, results = _planning.timed(lambda: front(problem, routes), 1)
    words = [result.meaning.value for result in results]
    _planning.note(", ".join(f"{words.count(word)} {word}" for word in sorted(set(words))))
    peer = _planning.timed(lambda: second(problem, routes), 1)[0] if compare else None
    name = _planning.SCIP if compare else "limit on two cores"
    _planning.report("pareto", f"load-{load:g}-30-points", value, name, peer or 2 * LIMIT_S, 1)


def middle(load: float, routes: Routes) -> None:
    """One point of each variant, next to the paper's program."""
    problem = _planning.fmc_problem(load)
    value, _results = _planning.timed(lambda: front(problem, routes, gammas=(MIDDLE,)), 1)
    peer, _nothing = _planning.timed(lambda: literal(problem, routes), 1)
    _planning.report("pareto", f"load-{load:g}-3-points", value, "paper form", peer, 1)


def main() -> None:
    """A light and a full load."""
    routes = paths.find_routes(_planning.topologies.fmc_tree(), _planning.presets.FMC_ROUTING)
    middle(0.05, routes)
    case(0.05, routes, compare=True)
    case(1.0, routes, compare=False)


if __name__ == "__main__":
    main()
