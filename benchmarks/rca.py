"""RCA: routing and caching again on fixed infrastructure, next to the literal program (7)."""

from dataclasses import replace

import _planning
import numpy as np

from umbel.planner import decode, formulation, highs, instance, paths, rca, solve
from umbel.planner.highs import Limits, Outcome
from umbel.planner.paths import Routes
from umbel.planner.problem import Problem

RUNS = 5
PEER_RUNS = 3
PEER_LIMIT_S = 300.0


def drifted(problem: Problem, by: float) -> Problem:
    """Every bundle up or down by up to a share."""
    random = np.random.default_rng(1)
    factor = random.uniform(1 - by, 1 + by, len(problem.demand.bundles))
    bundles = tuple(
        replace(bundle, parallel=bundle.parallel * float(by_))
        for bundle, by_ in zip(problem.demand.bundles, factor, strict=True)
    )
    return replace(problem, demand=replace(problem.demand, bundles=bundles))


def case(load: float, routes: Routes) -> None:
    """Cold compared with the literal form, and warm with cold."""
    problem = _planning.fmc_problem(load)
    plan = solve.plan(problem, routes=routes).plan
    assert plan is not None
    infrastructure = plan.infrastructure

    def ours() -> rca.Rerouting:
        return rca.solve(problem, infrastructure, routes=routes)

    def peer() -> Outcome:
        compiled = instance.compile_problem(problem, routes)
        program = formulation.build_rerouting(compiled, infrastructure).pruned()
        return highs.solve(program, Limits(time_s=PEER_LIMIT_S))

    value, cold = _planning.timed(ours, RUNS)
    peer_value, outcome = _planning.timed(peer, PEER_RUNS)
    qoe = cold.result.plan.qoe if cold.result.plan else float("nan")
    _planning.note(f"QoE {qoe:.3f}, literal {-outcome.objective:.3f} ({outcome.word})")
    _planning.report("rca", f"load-{load:g}", value, "paper form", peer_value, RUNS)
    lean = decode.confine(instance.compile_problem(problem, routes), infrastructure)
    program = rca.build(lean, infrastructure).linear
    scip_value, scip = _planning.timed(lambda: _planning.scip(program, PEER_LIMIT_S), PEER_RUNS)
    _planning.note(f"SCIP on the compact form: QoE {-scip.objective:.3f} ({scip.word})")
    _planning.report("rca", f"load-{load:g}", value, scip.solver, scip_value, RUNS)
    later = drifted(problem, 0.02)
    warm, found = _planning.timed(
        lambda: rca.solve(later, infrastructure, routes=routes, start=cold.start), RUNS
    )
    again, _found = _planning.timed(lambda: rca.solve(later, infrastructure, routes=routes), RUNS)
    assert found.warm
    _planning.report("rca", f"load-{load:g}-drift-2%", warm, "cold start", again, RUNS)


def main() -> None:
    """Two loads."""
    routes = paths.find_routes(_planning.topologies.fmc_tree(), _planning.presets.FMC_ROUTING)
    for load in (0.05, 1.0):
        case(load, routes)


if __name__ == "__main__":
    main()
