"""ViRCA to half a per cent of full power, next to the paper's own program in the same solver."""

import _planning

from umbel.planner import fast, formulation, highs, instance, paths, solve
from umbel.planner.highs import Limits, Outcome, Word
from umbel.planner.paths import Routes
from umbel.planner.problem import Effort, Tradeoff
from umbel.planner.result import Result

RUNS = 3
EFFORT = Effort(time_s=120.0, gap_share=0.005)
PEER_LIMIT_S = 120.0


def case(name: str, load: float, gamma: float, routes: Routes) -> None:
    """One load and weight of quality."""
    problem, goal = _planning.fmc_problem(load), Tradeoff(gamma=gamma)

    def ours() -> Result:
        return solve.plan(problem, goal, routes=routes, effort=EFFORT)

    def peer() -> Outcome:
        compiled = instance.compile_problem(problem, routes)
        gap = EFFORT.gap_share * compiled.full_power_w
        program = formulation.build(compiled, goal).pruned()
        return highs.solve(program, Limits(time_s=PEER_LIMIT_S, gap=gap))

    value, result = _planning.timed(ours, RUNS)
    peer_value, outcome = _planning.timed(peer, 1)
    report = result.report
    _planning.note(
        f"{result.meaning}: {report.objective:.0f} W, bound {report.bound:.0f}; literal "
        f"{outcome.objective:.0f} W, bound {outcome.bound:.0f} ({outcome.word})"
    )
    if outcome.word is not Word.OPTIMAL:
        _planning.note("the literal form ran into its limit: its time is a lower bound")
    _planning.report("virca", name, value, "paper form", peer_value, RUNS)
    compiled = instance.compile_problem(problem, routes)
    gap = EFFORT.gap_share * compiled.full_power_w
    program = fast.build(compiled, goal, whole_servers=True).linear
    scip_value, scip = _planning.timed(lambda: _planning.scip(program, PEER_LIMIT_S, gap), 1)
    _planning.note(
        f"SCIP on the compact form: {scip.objective:.0f} W, bound {scip.bound:.0f} ({scip.word})"
    )
    _planning.report("virca", name, value, scip.solver, scip_value, RUNS)


def main() -> None:
    """Two loads, and the hardest weight at the larger one."""
    routes = paths.find_routes(_planning.topologies.fmc_tree(), _planning.presets.FMC_ROUTING)
    case("load-0.2", 0.2, 1.0, routes)
    case("load-1", 1.0, 1.0, routes)
    case("load-1-gamma-1.5", 1.0, 1.5, routes)


if __name__ == "__main__":
    main()
