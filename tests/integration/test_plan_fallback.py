"""No time is no reason for no plan; the front's points; and reasons say what the plan does."""

import numpy as np
import pytest
from hypothesis import assume, given

from support import plan_rules, planning
from support.examples import examples
from umbel.planner import (
    clustering,
    demand,
    fallback,
    fast,
    front,
    highs,
    paths,
    presets,
    reasons,
    solve,
    topologies,
)
from umbel.planner.highs import Limits, Word
from umbel.planner.problem import Effort, Goal, LeastPower, Problem, Tradeoff
from umbel.planner.result import Meaning, Result
from umbel.planner.solve import Progress


@given(problem=planning.problems())
@examples(40)
def test_plans_without_a_search_keep_every_rule(problem: Problem) -> None:
    program = fast.build(planning.compiled(problem))
    found, _spent_s = fallback.plans(program, Limits(time_s=20.0))
    assume(found)
    routes = paths.find_routes(problem.network, problem.routing)
    for plan in found:
        assert plan_rules.broken(problem, routes, plan) == []
        assert plan.qoe == pytest.approx(plan_rules.qoe_of(problem, plan), rel=1e-4, abs=1e-3)


@given(problem=planning.problems())
@examples(30)
def test_the_idle_solution_is_one_of_the_program(problem: Problem) -> None:
    program = fast.build(planning.compiled(problem), Tradeoff(gamma=0.0))
    values = fallback.idle_values(program)
    exact = highs.solve(program.linear, Limits(time_s=30.0))
    if values is None:
        return
    assert exact.word is Word.OPTIMAL
    assert float(program.linear.cost @ values) >= exact.objective - 1e-6


def busy_problem() -> Problem:
    network = topologies.fmc_tree()
    seen = demand.observe(np.random.default_rng(0), network, 1.0)
    found = clustering.cluster(seen, 20).demand
    return Problem(network=network, demand=found, qoe=presets.LADDER_QOE)


def test_no_time_at_all_still_gives_a_plan_and_its_gap() -> None:
    problem = busy_problem()
    result = solve.plan(problem, Tradeoff(gamma=1.0), effort=Effort(time_s=0.01))
    assert result.meaning is Meaning.FEASIBLE
    assert result.plan is not None
    assert result.report.word == "limit"
    assert result.report.gap > 0
    routes = paths.find_routes(problem.network, problem.routing)
    assert plan_rules.broken(problem, routes, result.plan) == []


def test_a_floor_that_no_quick_plan_reaches_is_unknown() -> None:
    problem = busy_problem()
    goal = LeastPower(qoe_floor=planning.compiled(problem).full_qoe * 0.999)
    result = solve.plan(problem, goal, effort=Effort(time_s=0.01))
    assert (result.meaning, result.plan) == (Meaning.UNKNOWN, None)


def test_what_is_being_done_is_told() -> None:
    heard: list[Progress] = []
    solve.plan(planning.small_problem(), on_progress=heard.append)
    assert [progress.stage for progress in heard][:1] == ["diving"]
    assert heard[-1].stage == "whole servers"
    assert heard[-1].gap < 1e5


def test_a_front_spans_from_least_power_to_best_quality() -> None:
    problem = planning.small_problem()
    reported: list[front.Point] = []

    def ask(goal: Goal) -> Result:
        return solve.plan(problem, goal, effort=Effort(time_s=20.0, gap_share=0.001))

    points = front.trace(ask, 7, reported.append)
    assert len(reported) == len(points) == 7
    ideal = [point for point in points if point.ideal]
    assert ideal[0].qoe == 0.0
    assert ideal[-1].qoe == pytest.approx(max(point.qoe for point in points))
    assert ideal[-1].qoe > 0.9 * planning.compiled(problem).full_qoe
    power = [point.power_w for point in ideal]
    assert power == sorted(power)
    floors = [p for p in points if isinstance(p.goal, LeastPower)]
    assert len(floors) == 3
    assert all(p.qoe >= p.goal.qoe_floor * 0.999 for p in floors if isinstance(p.goal, LeastPower))


def test_beaten_points_are_marked() -> None:
    result = solve.plan(planning.small_problem(), Tradeoff(gamma=1.0))
    one = front.Point(goal=Tradeoff(gamma=1.0), result=result)
    none = front.Point(
        goal=Tradeoff(gamma=2.0),
        result=Result(meaning=Meaning.UNKNOWN, plan=None, report=result.report),
    )
    marked = front.sorted_front([one, none, one])
    assert [point.ideal for point in marked] == [False, False, True]


@given(problem=planning.problems(follow_fibre=True))
@examples(20)
def test_reasons_are_those_of_the_plan(problem: Problem) -> None:
    result = solve.plan(problem, Tradeoff(gamma=2.0))
    assume(result.plan is not None)
    assert result.plan is not None
    plan = result.plan
    routes = paths.find_routes(problem.network, problem.routing)
    nodes = reasons.of_nodes(problem, routes, plan)
    hosts = plan.infrastructure.hosts
    for node in plan.infrastructure.nodes:
        why = nodes[node.name]
        assert why
        assert any("base band runs here" in text for text in why) == (node.name in hosts.values())
        dark = not node.switch_on and not node.router_on
        assert all(text.startswith("off:") for text in why) == dark
    state = {node.name: node for node in plan.infrastructure.nodes}
    for flow, why in zip(plan.flows, reasons.of_flows(problem, routes, plan), strict=True):
        assert flow.path[0] in why[0]
        for text in why:
            if text.endswith(" is off") and text.startswith("not "):
                named = text.split("the router of ")[1].removesuffix(" is off").split(", ")
                assert not any(state[name].router_on for name in named)
