"""Column generation as the network grows, next to listing all paths.

First the program without whole numbers where lightpaths are scarce, so that paths must be sought;
then a whole plan on a network whose paths cannot be listed.
"""

from dataclasses import replace

import _planning
import numpy as np

from umbel.planner import columns, fast, instance, paths
from umbel.planner.highs import Limits, Method, Outcome, Session, Word
from umbel.planner.paths import TooManyPaths
from umbel.planner.problem import Access, Effort, Network, Problem, Routing, Tradeoff

ROUTING = Routing(follow_fibre=False, routes_per_pair=2, detour_hops=1, serve_reach_hops=2)
GOAL = Tradeoff(gamma=1.0)
EFFORT = Effort(time_s=300.0, gap_share=0.01)
LIMITS = Limits(time_s=300.0)
SCARCE_MBPS = 100.0
SIZES = ((2, 4, 15), (4, 15, 80), (8, 41, 350))
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
    return replace(network, bypass_lightpaths=1)


def problem_of(network: Network) -> Problem:
    """A busy hour on it."""
    seen = _planning.demand.observe(np.random.default_rng(0), network, 0.2)
    return Problem(
        network=network,
        demand=_planning.clustering.cluster(seen, CONTENTS).demand,
        qoe=_planning.presets.LADDER_QOE,
        routing=ROUTING,
    )


def listed(problem: Problem) -> Outcome | None:
    """The program over all paths; nothing where they do not fit."""
    try:
        routes = paths.find_routes(problem.network, problem.routing)
    except TooManyPaths:
        return None
    _planning.note(f"{len(routes.paths)} paths in all")
    program = fast.build(instance.compile_problem(problem, routes), GOAL)
    return Session(program.linear.relaxed()).run(LIMITS, Method.INTERIOR)


def bound(size: tuple[int, int, int]) -> None:
    """The bound over all chains of lightpaths, by both ways."""
    network = replace(mesh(*size), lightpath_mbps=SCARCE_MBPS)
    problem = problem_of(network)
    value, found = _planning.timed(
        lambda: columns.generate(columns.start(problem), GOAL, LIMITS), 1
    )
    _planning.note(
        f"{len(found.program.instance.paths)} paths generated, {found.rounds} rounds, "
        f"complete: {found.complete}, bound {found.outcome.objective:.1f} W"
    )
    peer, full = _planning.timed(lambda: listed(problem), 1)
    if full is None:
        _planning.note(f"more than {ROUTING.most_paths} paths: they cannot be listed")
    elif full.word is Word.OPTIMAL:
        _planning.note(f"all paths: bound {full.objective:.1f} W")
    else:
        _planning.note("all paths ran into the limit: its time is a lower bound")
    name, listed = ("all paths", peer) if full else (None, None)
    _planning.report("growth", f"nodes-{len(network.nodes)}-bound", value, name, listed, 1)


def main() -> None:
    """Three sizes, and a plan on the largest."""
    for size in SIZES:
        bound(size)
    problem = problem_of(mesh(*SIZES[-1]))
    value, result = _planning.timed(lambda: columns.plan(problem, GOAL, effort=EFFORT), 1)
    full_w = columns.start(problem).full_power_w
    share = result.report.gap / full_w
    _planning.note(f"{result.meaning}, gap {share:.2%} of full power")
    nodes = len(problem.network.nodes)
    _planning.report("growth", f"nodes-{nodes}-plan", value, None, None, 1)


if __name__ == "__main__":
    main()
