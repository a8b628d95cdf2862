"""Column generation as the network grows and lightpaths are scarce, beside listing all paths."""

from dataclasses import replace

import _planning
import numpy as np

from umbel.planner import columns, paths, solve
from umbel.planner.paths import TooManyPaths
from umbel.planner.problem import Access, Network, Problem, Routing, Tradeoff
from umbel.planner.result import Result
from umbel.planner.solve import Effort

ROUTING = Routing(follow_fibre=False, routes_per_pair=2, detour_hops=1)
GOAL = Tradeoff(gamma=1.0)
EFFORT = Effort(time_s=120.0, gap_share=0.005)
SIZES = ((2, 3, 12), (3, 6, 24), (4, 10, 45))
CONTENTS = 8


def mesh(gateways: int, aggregation: int, sites: int) -> Network:
    """A PoP, a ring of gateways, aggregation homed on two of them, sites homed on one or two."""
    access = {"pop": Access.TRANSIT}
    pairs = []
    for number in range(gateways):
        access[f"g{number}"] = Access.TRANSIT
        pairs.append(("pop", f"g{number}"))
    pairs += [(f"g{n}", f"g{n + 1}") for n in range(gateways - 1)]
    for number in range(aggregation):
        access[f"a{number}"] = Access.TRANSIT
        homes = sorted({number % gateways, (number + 1) % gateways})
        pairs += [(f"g{home}", f"a{number}") for home in homes]
    for number in range(sites):
        access[f"s{number}"] = Access.FIXED if number % 3 == 0 else Access.MOBILE
        homes = sorted({number % aggregation, (number + number % 2) % aggregation})
        pairs += [(f"a{home}", f"s{number}") for home in homes]
    network = _planning.topologies.graph("pop", access, pairs, lightpaths=2)
    return replace(network, lightpath_mbps=100.0, bypass_lightpaths=1)


def problem_of(network: Network) -> Problem:
    """A busy hour on it."""
    seen = _planning.demand.observe(np.random.default_rng(0), network, 0.2)
    return Problem(
        network=network,
        demand=_planning.clustering.cluster(seen, CONTENTS).demand,
        qoe=_planning.presets.LADDER_QOE,
        routing=ROUTING,
    )


def listed(problem: Problem) -> Result | None:
    """The plan over all paths; nothing where they do not fit."""
    try:
        routes = paths.find_routes(problem.network, problem.routing)
    except TooManyPaths:
        return None
    _planning.note(f"{len(routes.paths)} paths in all")
    return solve.plan(problem, GOAL, routes=routes, effort=EFFORT)


def main() -> None:
    """Three sizes."""
    for size in SIZES:
        network = mesh(*size)
        problem = problem_of(network)
        value, result = _planning.timed(lambda p=problem: columns.plan(p, GOAL, effort=EFFORT), 1)
        _planning.note(
            f"{result.meaning}: {result.report.objective:.0f} W, bound {result.report.bound:.0f}"
        )
        peer, full = _planning.timed(lambda p=problem: listed(p), 1)
        if full is None:
            _planning.note(f"more than {ROUTING.most_paths} paths: they cannot be listed")
        else:
            _planning.note(f"all paths: {full.meaning}: {full.report.objective:.0f} W")
        name, beside = ("all paths", peer) if full else (None, None)
        _planning.tell("growth", f"nodes-{len(network.nodes)}", value, name, beside, 1)


if __name__ == "__main__":
    main()
