"""Algorithm 1: what each moment calls for, and whether a plan still holds."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import planning
from umbel.kit.states import IllegalTransition
from umbel.planner import control, drift, solve
from umbel.planner.control import CONTROL, Control, Periods, Phase, Seen, Trigger
from umbel.planner.problem import Demand, Problem, Resolution, Tradeoff
from umbel.planner.result import Plan

IDLE = Seen(used_vcpus=10.0, planned_vcpus=300.0, node_vcpus=240.0)
BUSY = Seen(used_vcpus=100.0, planned_vcpus=300.0, node_vcpus=240.0)
OUTGROWN = replace(BUSY, outgrown=("bandwidth to home",))


def at(seen: Seen, now_s: float, start: Control | None = None) -> tuple[Control, Trigger | None]:
    return control.tick(start or control.begin(0.0), seen, now_s)


def test_virca_runs_when_a_nodes_worth_is_idle_at_the_end_of_its_period() -> None:
    assert at(IDLE, 1799.0)[1] is None
    after, trigger = at(IDLE, 1800.0)
    assert (after.phase, trigger) == (Phase.PLANNING, Trigger.WASTED)


def test_a_node_less_one_vcpu_is_not_worth_it() -> None:
    after, trigger = at(replace(IDLE, used_vcpus=60.0), 1800.0)
    assert (after.phase, trigger, after.virca_s) == (Phase.STEADY, None, 1800.0)


def test_rca_runs_when_the_slack_is_exceeded_at_the_end_of_its_period() -> None:
    assert at(OUTGROWN, 299.0)[1] is None
    assert at(BUSY, 300.0) == (replace(control.begin(0.0), rca_s=300.0), None)
    after, trigger = at(OUTGROWN, 300.0)
    assert (after.phase, trigger) == (Phase.ROUTING, Trigger.DRIFTED)


def test_virca_is_considered_first_and_uses_its_period_up() -> None:
    after, trigger = at(OUTGROWN, 1800.0)
    assert (trigger, after.virca_s, after.rca_s) == (None, 1800.0, 0.0)
    assert control.tick(after, OUTGROWN, 1801.0)[1] is Trigger.DRIFTED


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.71, Trigger.DROPPED), (0.72, Trigger.REROUTED), (None, Trigger.DROPPED)],
)
def test_virca_follows_when_rca_falls_below_four_fifths_of_the_best(
    share: float | None, verdict: Trigger
) -> None:
    planned = control.planned(at(IDLE, 1800.0)[0], 0.9, proven=True)
    running, _ = control.tick(planned, OUTGROWN, 2200.0)
    assert running.virca_s == 1800.0
    assert control.judge(running, share) is verdict
    expected = {Trigger.DROPPED: Phase.PLANNING, Trigger.REROUTED: Phase.STEADY}
    assert control.after(running, verdict).phase is expected[verdict]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_plan_for_which_time_ran_out_lowers_no_bar(share: float) -> None:
    proven = control.planned(at(IDLE, 1800.0)[0], 0.5, proven=True)
    assert control.judge(proven, 0.4) is Trigger.REROUTED
    again = control.planned(control.starved(proven)[0], share, proven=False)
    assert control.judge(again, 0.79) is Trigger.DROPPED
    assert control.judge(again, 0.8) is Trigger.REROUTED


def test_before_any_plan_the_best_quality_is_all_of_it() -> None:
    assert control.judge(control.begin(0.0), 0.79) is Trigger.DROPPED
    assert control.judge(control.begin(0.0), 0.8) is Trigger.REROUTED


def test_only_a_plan_for_which_time_ran_out_yields_to_rca() -> None:
    assert control.falls_short(0.3, 0.4, proven=False)
    assert not control.falls_short(0.4, 0.4, proven=False)
    assert not control.falls_short(0.3, 0.4, proven=True)


def test_a_failed_run_leaves_everything_as_it_was_but_the_period() -> None:
    running, _ = at(IDLE, 1800.0)
    failed = control.after(running, Trigger.FAILED)
    assert failed == Control(virca_s=1800.0, rca_s=0.0)
    assert control.tick(failed, IDLE, 1801.0)[1] is None


def test_starvation_plans_at_once_but_never_twice() -> None:
    running, trigger = control.starved(control.begin(0.0))
    assert (running.phase, trigger) == (Phase.PLANNING, Trigger.STARVED)
    assert control.starved(running) == (running, None)
    assert control.tick(running, IDLE, 5000.0) == (running, None)


def test_an_answer_nobody_waits_for_is_refused() -> None:
    with pytest.raises(IllegalTransition):
        control.planned(control.begin(0.0), 1.0, proven=True)


def test_every_phase_can_be_left_and_come_back_to_steady() -> None:
    for phase in Phase:
        assert any(start is phase for start, _ in CONTROL.transitions)
    ends = {start for (start, _), end in CONTROL.transitions.items() if end is Phase.STEADY}
    assert ends == {Phase.ROUTING, Phase.PLANNING}


@given(st.lists(st.floats(0.0, 400.0), max_size=30), st.booleans())
def test_the_controller_sleeps_until_something_may_be_due(steps: list[float], idle: bool) -> None:
    state, now_s, periods = control.begin(0.0), 0.0, Periods()
    for step in steps:
        wait_s = control.due_in_s(state, now_s, periods)
        early, trigger = control.tick(state, IDLE, now_s + wait_s * 0.99, periods)
        assert wait_s == 0.0 or (early, trigger) == (state, None)
        now_s += step
        state, trigger = control.tick(state, IDLE if idle else OUTGROWN, now_s, periods)
        if trigger is not None:
            state = control.after(state, Trigger.FAILED)


# -- drift ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def solved() -> tuple[Problem, Plan]:
    problem = planning.small_problem()
    result = solve.plan(problem, Tradeoff(gamma=2.0))
    assert result.plan is not None
    return problem, result.plan


def test_what_was_planned_is_not_outgrown(solved: tuple[Problem, Plan]) -> None:
    problem, plan = solved
    spare = drift.slack(problem, plan)
    assert min(*spare.mbps.values(), *spare.vcpus.values()) >= -1e-6
    change = drift.variation(problem, plan, drift.planned(problem, plan))
    assert drift.outgrown(change, spare) == ()


def test_the_plan_accounts_for_all_demand_it_serves(solved: tuple[Problem, Plan]) -> None:
    problem, plan = solved
    counts = drift.planned(problem, plan)
    known = sum(count for key, count in counts.items() if key[1])
    unseen = sum(count for key, count in counts.items() if not key[1])
    assert known == pytest.approx(11.0)
    assert unseen <= 1.1 + 1e-6
    assert plan.qoe <= drift.best_qoe(problem) + 1e-6
    assert plan.qoe == pytest.approx(drift.best_qoe(problem))


def test_a_crowd_outgrows_bandwidth_and_vcpus_by_name(solved: tuple[Problem, Plan]) -> None:
    problem, plan = solved
    expected = drift.planned(problem, plan)
    crowd = {key: 20 * count for key, count in expected.items() if key[0] == "home"}
    spare = drift.slack(problem, plan)
    names = drift.outgrown(drift.variation(problem, plan, {**expected, **crowd}), spare)
    assert "bandwidth to home" in names
    assert any(name.startswith("vCPUs of ") for name in names)
    assert not any("cell" in name for name in names)


def test_fewer_of_one_bundle_make_room_for_another(solved: tuple[Problem, Plan]) -> None:
    problem, plan = solved
    key = ("home", "a", Resolution.R1080, "pop")
    other = ("home", "a", Resolution.R720, "pop")
    change = drift.variation(problem, plan, {other: 1.0})
    alone = drift.variation(problem, plan, {**drift.planned(problem, plan), other: 1.0})
    assert change.mbps["home"] < alone.mbps["home"]
    assert drift.variation(problem, plan, {key: 0.0}).mbps["home"] < 0


def test_a_refused_request_weighs_on_the_end_alone(solved: tuple[Problem, Plan]) -> None:
    problem, plan = solved
    refused = {("home", "a", Resolution.R1080, ""): 1000.0}
    change = drift.variation(problem, plan, {**drift.planned(problem, plan), **refused})
    assert change.mbps["home"] == pytest.approx(2500.0)
    assert "" not in change.vcpus
    assert drift.outgrown(change, drift.slack(problem, plan)) == ("bandwidth to home",)


def test_the_peak_of_each_count_is_kept() -> None:
    one = ("home", "a", Resolution.R720, "pop")
    two = ("home", "b", Resolution.R720, "pop")
    assert drift.peak([{one: 1.0, two: 4.0}, {one: 3.0}]) == {one: 3.0, two: 4.0}
    assert drift.peak([]) == {}


def test_no_demand_has_no_quality() -> None:
    problem = replace(planning.small_problem(), demand=Demand(contents=(), bundles=()))
    assert drift.best_qoe(problem) == 0.0


def test_a_plan_for_nobody_is_all_that_can_be() -> None:
    nobody = replace(planning.small_problem(), demand=Demand(contents=(), bundles=()))
    result = solve.plan(nobody, Tradeoff(gamma=2.0))
    assert result.plan is not None
    assert drift.share_of(nobody, result.plan) == 1.0


def test_a_share_is_of_all_demand_at_its_best(solved: tuple[Problem, Plan]) -> None:
    problem, plan = solved
    half = replace(plan, qoe=drift.best_qoe(problem) / 2)
    assert drift.share_of(problem, half) == pytest.approx(0.5)
