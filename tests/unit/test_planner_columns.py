"""Column generation: the bound of all chains without listing them, and plans as good."""

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from support import plan_rules, planning
from support.examples import examples
from umbel.planner import columns, fast, formulation, highs, paths, pricing, solve, topologies
from umbel.planner.highs import Limits, Word
from umbel.planner.paths import TooManyPaths
from umbel.planner.problem import Effort, Goal, LeastPower, Problem, Routing, Tradeoff, Variant
from umbel.planner.result import Meaning

TIGHT = Effort(time_s=60.0, gap_share=0.002)
chains = planning.problems(follow_fibre=False)


@given(problem=chains, variant=st.sampled_from(Variant), gamma=st.sampled_from([0.2, 1.0, 4.0]))
@examples(40)
def test_the_bound_is_that_of_all_chains(problem: Problem, variant: Variant, gamma: float) -> None:
    goal = Tradeoff(gamma=gamma)
    listed = fast.build(planning.compiled(problem, variant), goal)
    exact = highs.solve(listed.linear.relaxed(), Limits())
    found = columns.generate(columns.start(problem, variant), goal, Limits())
    assert found.outcome.word is exact.word
    if exact.word is Word.OPTIMAL:
        assert found.complete
        assert found.outcome.objective == pytest.approx(exact.objective, rel=1e-6, abs=0.01)
    assert set(found.program.instance.paths) <= set(listed.instance.paths)


@given(problem=chains, share=st.sampled_from([0.3, 0.9]))
@examples(20)
def test_a_floor_finds_its_paths(problem: Problem, share: float) -> None:
    """The first paths alone are often infeasible: capacity must be sought too."""
    goal: Goal = LeastPower(qoe_floor=share * planning.compiled(problem).full_qoe)
    listed = fast.build(planning.compiled(problem), goal)
    exact = highs.solve(listed.linear.relaxed(), Limits())
    found = columns.generate(columns.start(problem), goal, Limits())
    assert found.outcome.word is exact.word
    if exact.word is Word.OPTIMAL:
        assert found.outcome.objective == pytest.approx(exact.objective, rel=1e-6, abs=0.01)


@given(problem=chains, gamma=st.sampled_from([0.5, 2.0]))
@examples(25)
def test_plans_are_as_good_as_over_all_chains(problem: Problem, gamma: float) -> None:
    goal = Tradeoff(gamma=gamma)
    listed = solve.plan(problem, goal, effort=TIGHT)
    found = columns.plan(problem, goal, effort=TIGHT)
    assume(listed.plan is not None and found.plan is not None)
    assert found.plan is not None
    routes = paths.find_routes(problem.network, problem.routing)
    assert plan_rules.broken(problem, routes, found.plan) == []
    assert found.report.bound <= listed.report.objective + 0.1
    gap = TIGHT.gap_share * planning.compiled(problem).full_power_w
    if found.meaning is listed.meaning is Meaning.OPTIMAL:
        assert abs(found.report.objective - listed.report.objective) <= gap + 0.1


@given(problem=chains, variant=st.sampled_from(Variant))
@examples(20)
def test_small_plans_are_the_optimum_over_all_chains_where_they_say_so(
    problem: Problem, variant: Variant
) -> None:
    listed = formulation.build(planning.compiled(problem, variant))
    exact = highs.solve(listed, Limits(time_s=60.0))
    found = columns.plan(problem, variant=variant, effort=replace(TIGHT, gap_share=1e-5))
    assert (found.plan is None) == (exact.word is Word.INFEASIBLE)
    if found.plan is not None:
        room = 1.0 + 1e-5 * abs(exact.objective)
        assert found.report.bound - room <= exact.objective <= found.report.objective + room
        if found.meaning is Meaning.OPTIMAL:
            assert found.report.objective <= exact.objective + room


def test_infeasible_is_told_and_explained() -> None:
    good = planning.small_problem()
    problem = replace(good, routing=Routing(follow_fibre=False))
    nodes = tuple(replace(node, bbu_vcpus=1000.0) for node in good.network.nodes)
    problem = replace(problem, network=replace(problem.network, nodes=nodes))
    result = columns.plan(problem)
    assert result.meaning is Meaning.INFEASIBLE
    assert [binding.family for binding in result.binding] == ["(6a)"]


def test_networks_whose_chains_cannot_be_listed_are_planned() -> None:
    network = topologies.fmc_tree()
    routing = Routing(follow_fibre=False, lightpaths_per_path=5, most_paths=20_000)
    with pytest.raises(TooManyPaths):
        paths.find_routes(network, routing)
    good = planning.small_problem()
    ends = [node.name for node in network.nodes if node.level == 3]
    bundles = tuple(planning.bundle(end, "a", parallel=20.0) for end in ends)
    demand = replace(good.demand, bundles=bundles)
    problem = replace(good, network=network, routing=routing, demand=demand)
    result = columns.plan(problem)
    assert result.meaning is Meaning.OPTIMAL


@st.composite
def priced(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    count = draw(st.integers(2, 6))
    prices = st.sampled_from([0.0, 1.0, 2.5, 7.0, np.inf])
    toll = np.array(draw(st.lists(prices, min_size=count**2, max_size=count**2)))
    toll = toll.reshape(count, count)
    np.fill_diagonal(toll, np.inf)
    entry = np.array(draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=count, max_size=count)))
    through = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    return toll, entry, through, draw(st.integers(1, 4))


def cost_of(path: tuple[int, ...], toll: np.ndarray, entry: np.ndarray) -> float:
    return float(entry[list(path)].sum() + sum(toll[i, j] for i, j in pairwise(path)))


def best(
    path: tuple[int, ...], target: int, made: tuple[np.ndarray, np.ndarray, np.ndarray, int]
) -> float:
    """The cheapest way on from a path, by trying them all."""
    toll, entry, through, most = made
    if path[-1] == target:
        return cost_of(path, toll, entry)
    if len(path) > most or (len(path) > 1 and not through[path[-1]]):
        return np.inf
    onward = (n for n in range(len(toll)) if n not in path and np.isfinite(toll[path[-1], n]))
    return min((best((*path, n), target, made) for n in onward), default=np.inf)


@given(made=priced())
@examples(150)
def test_the_cheapest_chain_is_the_cheapest(
    made: tuple[np.ndarray, np.ndarray, np.ndarray, int],
) -> None:
    toll, entry, through, most = made
    found = pricing.cheapest(toll, entry, through, most)

    for source, target in permutations(range(len(toll)), 2):
        assert found.cost[source, target] == pytest.approx(best((source,), target, made))
        if np.isfinite(found.cost[source, target]):
            path = found.path(source, target)
            assert len(set(path)) == len(path) <= most + 1
            assert cost_of(path, toll, entry) == pytest.approx(found.cost[source, target])
