"""RCA is program (7), keeps the infrastructure, and starts warm where demand drifts little."""

from dataclasses import replace

import pytest
from hypothesis import assume, given

from support import plan_rules, planning
from support.examples import examples
from umbel.planner import formulation, highs, paths, rca, solve
from umbel.planner.highs import Limits, Word
from umbel.planner.problem import Demand, Problem, Tradeoff, Variant
from umbel.planner.rca import BadInfrastructure
from umbel.planner.result import Infrastructure, Meaning, Plan


def planned(problem: Problem) -> Plan:
    result = solve.plan(problem, Tradeoff(gamma=2.0))
    assert result.plan is not None
    return result.plan


def scaled(problem: Problem, factor: float) -> Problem:
    bundles = tuple(replace(b, parallel=b.parallel * factor) for b in problem.demand.bundles)
    return replace(problem, demand=Demand(contents=problem.demand.contents, bundles=bundles))


@given(problem=planning.problems())
@examples(25)
def test_rca_is_the_literal_program_seven(problem: Problem) -> None:
    result = solve.plan(problem, Tradeoff(gamma=2.0))
    assume(result.plan is not None)
    assert result.plan is not None
    infrastructure = result.plan.infrastructure
    busier = scaled(problem, 1.4)
    exact = highs.solve(
        formulation.build_rerouting(planning.compiled(busier), infrastructure), Limits()
    )
    found = rca.solve(busier, infrastructure).result
    assert exact.word is Word.OPTIMAL
    assert found.meaning is Meaning.OPTIMAL
    assert found.report.objective == pytest.approx(exact.objective, rel=1e-5, abs=1e-4)
    assert found.plan is not None
    assert found.plan.qoe == pytest.approx(-found.report.objective)
    routes = paths.find_routes(problem.network, problem.routing)
    assert plan_rules.broken(busier, routes, found.plan) == []


def test_the_infrastructure_stays_and_quality_is_no_less() -> None:
    problem = planning.small_problem()
    plan = planned(problem)
    again = rca.solve(problem, plan.infrastructure).result.plan
    assert again is not None
    assert again.infrastructure.hosts == plan.infrastructure.hosts
    strip = [replace(node, hits=()) for node in plan.infrastructure.nodes]
    assert [replace(node, hits=()) for node in again.infrastructure.nodes] == strip
    assert again.power == plan.power
    assert again.qoe >= plan.qoe - 1e-6


def test_small_drift_starts_warm_and_agrees_with_cold() -> None:
    problem = planning.small_problem()
    infrastructure = planned(problem).infrastructure
    first = rca.solve(problem, infrastructure)
    drifted = scaled(problem, 1.03)
    warm = rca.solve(drifted, infrastructure, start=first.start)
    cold = rca.solve(drifted, infrastructure)
    assert (warm.warm, cold.warm) == (True, False)
    assert warm.result.report.objective == pytest.approx(cold.result.report.objective)
    assert warm.result.report.iterations <= cold.result.report.iterations


@pytest.mark.parametrize("variant", [Variant.VIRCA, Variant.VIRCA3])
def test_large_drift_or_another_shape_starts_cold(variant: Variant) -> None:
    problem = planning.small_problem()
    infrastructure = planned(problem).infrastructure
    first = rca.solve(problem, infrastructure, variant)
    assert first.start is not None
    assert not rca.solve(scaled(problem, 1.1), infrastructure, start=first.start).warm
    fewer = replace(problem, demand=replace(problem.demand, bundles=problem.demand.bundles[1:]))
    assert not rca.solve(fewer, infrastructure, start=first.start).warm
    nodes = (replace(infrastructure.nodes[0], transcode_vcpus=1), *infrastructure.nodes[1:])
    other = replace(infrastructure, nodes=nodes)
    assert not rca.solve(problem, other, start=first.start).warm


def test_a_dark_fixed_end_is_infeasible() -> None:
    problem = planning.small_problem()
    infrastructure = planned(problem).infrastructure
    nodes = tuple(
        replace(node, router_on=False) if node.name == "home" else node
        for node in infrastructure.nodes
    )
    result = rca.solve(problem, replace(infrastructure, nodes=nodes)).result
    assert result.meaning is Meaning.INFEASIBLE
    assert [binding.family for binding in result.binding] == ["(3d)"]


def test_a_host_out_of_reach_is_infeasible() -> None:
    problem = planning.small_problem()
    infrastructure = planned(problem).infrastructure
    hosts = {**infrastructure.hosts, "cell-1": "cell-2"}
    result = rca.solve(problem, replace(infrastructure, hosts=hosts)).result
    assert result.meaning is Meaning.INFEASIBLE
    assert "(4d)" in [binding.family for binding in result.binding]


def test_a_base_band_without_vcpus_is_infeasible() -> None:
    problem = planning.small_problem()
    infrastructure = planned(problem).infrastructure
    nodes = tuple(replace(node, bbu_vcpus=0) for node in infrastructure.nodes)
    result = rca.solve(problem, replace(infrastructure, nodes=nodes)).result
    assert [binding.family for binding in result.binding] == ["(4e)"]


def test_another_networks_infrastructure_is_refused_by_name() -> None:
    problem = planning.small_problem()
    infrastructure = planned(problem).infrastructure
    nodes = (replace(infrastructure.nodes[0], name="elsewhere"), *infrastructure.nodes[1:])
    hosts = {**infrastructure.hosts, "home": "pop"}
    with pytest.raises(BadInfrastructure) as caught:
        rca.solve(problem, Infrastructure(nodes=nodes, hosts=hosts))
    assert caught.value.details["problems"] == [
        "node 'pop' is missing",
        "node 'elsewhere' is unknown",
        "'home' at 'pop': no such mobile end or node",
    ]
