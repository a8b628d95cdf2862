"""Plans obey every rule, are as good as the literal program's, and no plan is a value too."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from support import plan_rules, planning
from support.examples import examples
from umbel.planner import (
    clustering,
    demand,
    fast,
    formulation,
    highs,
    paths,
    presets,
    solve,
    topologies,
)
from umbel.planner.highs import Limits, Word
from umbel.planner.problem import Effort, Goal, LeastPower, Node, Problem, Tradeoff, Variant
from umbel.planner.result import Meaning, Result

TIGHT = Effort(time_s=60.0, gap_share=0.002)
EXACT = Effort(time_s=60.0, gap_share=1e-5)


def with_nodes(problem: Problem, **change: float) -> Problem:
    """The problem with something changed at every node."""
    nodes: tuple[Node, ...] = tuple(
        replace(node, **change)  # type: ignore[arg-type]
        for node in problem.network.nodes
    )
    return replace(problem, network=replace(problem.network, nodes=nodes))


def families(result: Result) -> list[str]:
    return [binding.family for binding in result.binding]


def assert_sound(problem: Problem, result: Result, goal: Goal) -> None:
    """The plan keeps the rules, and the report tells its objective."""
    assert result.plan is not None
    plan = result.plan
    routes = paths.find_routes(problem.network, problem.routing)
    assert plan_rules.broken(problem, routes, plan) == []
    assert plan.qoe == pytest.approx(plan_rules.qoe_of(problem, plan), rel=1e-4, abs=1e-3)
    assert plan.power.total_w == pytest.approx(plan_rules.power_of(problem, plan))
    per_qoe = planning.compiled(problem).watts_per_qoe(goal)
    assert result.report.objective == pytest.approx(plan.power.total_w - per_qoe * plan.qoe)
    assert result.report.bound <= result.report.objective + 1e-6


@given(
    problem=planning.problems(),
    variant=st.sampled_from(Variant),
    gamma=st.sampled_from([0.0, 0.5, 1.0, 4.0]),
)
@examples(40)
def test_plans_keep_every_rule_and_are_the_best(
    problem: Problem, variant: Variant, gamma: float
) -> None:
    goal = Tradeoff(gamma=gamma)
    result = solve.plan(problem, goal, variant, effort=TIGHT)
    instance = planning.compiled(problem, variant)
    exact = highs.solve(formulation.build(instance, goal), Limits(time_s=60.0))
    if exact.word is Word.INFEASIBLE:
        assert result.plan is None
        assert result.meaning in {Meaning.INFEASIBLE, Meaning.UNKNOWN}
        return
    assume(result.plan is not None)
    assert_sound(problem, result, goal)
    assert result.report.bound <= exact.objective + 0.1
    assert result.report.objective >= exact.objective - 0.1
    if result.meaning is Meaning.OPTIMAL:
        gap = TIGHT.gap_share * instance.full_power_w
        assert result.report.objective <= exact.objective + gap + 0.1


@given(
    problem=planning.problems(),
    variant=st.sampled_from(Variant),
    share=st.sampled_from([None, 0.5, 0.9]),
)
@examples(25)
def test_without_a_gap_plans_are_the_papers_optimum(
    problem: Problem, variant: Variant, share: float | None
) -> None:
    """Whole servers included: what rounding costs is sought until it is nothing."""
    instance = planning.compiled(problem, variant)
    goal = Tradeoff() if share is None else LeastPower(qoe_floor=share * instance.full_qoe)
    exact = highs.solve(formulation.build(instance, goal), Limits(time_s=60.0))
    result = solve.plan(problem, goal, variant, effort=EXACT)
    assert (result.plan is None) == (exact.word is Word.INFEASIBLE)
    if result.plan is not None:
        assert result.meaning is Meaning.OPTIMAL
        assert result.report.objective == pytest.approx(exact.objective, rel=1e-5, abs=1.0)


@given(problem=planning.problems(), share=st.sampled_from([0.3, 0.7, 0.9]))
@examples(15)
def test_least_power_keeps_the_floor(problem: Problem, share: float) -> None:
    goal = LeastPower(qoe_floor=share * planning.compiled(problem).full_qoe)
    result = solve.plan(problem, goal, effort=TIGHT)
    assume(result.plan is not None)
    assert_sound(problem, result, goal)
    assert result.plan is not None
    assert result.plan.qoe >= goal.qoe_floor * 0.999


def test_budgets_share_services_over_paths() -> None:
    result = solve.plan(planning.small_problem(), Tradeoff(gamma=4.0))
    assert result.plan is not None
    budgets = result.plan.budgets()
    sent = sum(flow.mbps for flow in result.plan.flows if flow.end)
    assert sum(budget.mbps for budget in budgets) == pytest.approx(sent)
    for budget in budgets:
        assert budget.path[-1] == result.plan.infrastructure.hosts.get(budget.end, budget.end)


def test_more_weight_on_quality_gives_more_of_both() -> None:
    problem = planning.small_problem()
    plans = [solve.plan(problem, Tradeoff(gamma=g), effort=TIGHT).plan for g in (0.0, 1.0, 10.0)]
    power = [plan.power.total_w for plan in plans if plan]
    qoe = [round(plan.qoe, 6) for plan in plans if plan]
    assert (power, qoe) == (sorted(power), sorted(qoe))
    assert qoe[0] == 0.0
    assert qoe[-1] > 0.9 * planning.compiled(problem).full_qoe


def test_no_freedom_is_never_better() -> None:
    problem = planning.small_problem()
    results = [solve.plan(problem, Tradeoff(gamma=2.0), v, effort=TIGHT) for v in Variant]
    free, *bound = [result.report.objective for result in results]
    assert all(free <= other + 1.0 for other in bound)


# What is made scarce, and the family that is named for it.
SHORTAGES = [
    ({"bbu_vcpus": 1000.0}, "(6a)"),
    ({"storage_gb": 0.1}, "(5c)"),
    ({"radio_mbps": 1.0}, "(3a)"),
    ({"router_mbps": 3.0}, "(3g)"),
    ({"switch_mbps": 3.0}, "(3h)"),
]


@pytest.mark.parametrize(("change", "family"), SHORTAGES, ids=[f for _c, f in SHORTAGES])
def test_infeasible_names_what_is_short(change: dict[str, float], family: str) -> None:
    problem = with_nodes(planning.small_problem(), **change)
    goal = LeastPower(qoe_floor=0.95 * planning.compiled(problem).full_qoe)
    result = solve.plan(problem, goal)
    assert result.meaning is Meaning.INFEASIBLE
    assert result.plan is None
    assert result.report.word == "infeasible"
    assert family in families(result)


def test_a_floor_above_all_demand_is_told() -> None:
    result = solve.plan(planning.small_problem(), LeastPower(qoe_floor=1e6))
    assert result.meaning is Meaning.INFEASIBLE
    assert families(result) == ["(5a)"]


def test_scarce_lightpaths_are_named() -> None:
    good = planning.small_problem()
    problem = replace(good, network=replace(good.network, lightpath_mbps=2.0))
    goal = LeastPower(qoe_floor=0.95 * planning.compiled(problem).full_qoe)
    far = with_nodes(problem, bbu_vcpus=40.0)
    assert "(3f)" in families(solve.plan(far, goal))


def test_no_demand_costs_only_what_must_be_on() -> None:
    good = planning.small_problem()
    problem = replace(good, demand=replace(good.demand, contents=(), bundles=()))
    result = solve.plan(problem)
    assert result.meaning is Meaning.OPTIMAL
    assert result.plan is not None
    assert result.plan.qoe == 0.0
    assert_sound(problem, result, Tradeoff())


def large_problem() -> Problem:
    network = topologies.fmc_tree()
    seen = demand.observe(np.random.default_rng(0), network, 1.0)
    found = clustering.cluster(seen, 20).demand
    return Problem(network=network, demand=found, qoe=presets.LADDER_QOE)


def test_too_little_time_gives_the_best_so_far_and_its_gap() -> None:
    result = solve.plan(large_problem(), Tradeoff(gamma=1.5), effort=Effort(time_s=0.01))
    assert result.meaning in {Meaning.UNKNOWN, Meaning.FEASIBLE}
    assert result.report.word == "limit"
    assert result.report.gap > 0


def test_a_carried_solution_is_a_solution() -> None:
    problem = planning.small_problem()
    simple = fast.build(planning.compiled(problem, Variant.VIRCA2))
    free = fast.build(planning.compiled(problem))
    found = highs.solve(simple.linear, Limits())
    assert found.values is not None
    carried = solve.carry_over(simple, found.values, free)
    activity = free.linear.matrix() @ carried
    assert (activity >= free.linear.row_lower - 1e-6).all()
    assert (activity <= free.linear.row_upper + 1e-6).all()
    assert float(free.linear.cost @ carried) == pytest.approx(found.objective)
