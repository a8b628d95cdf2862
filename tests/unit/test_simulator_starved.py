"""A simulated controller whose solver runs out of time tries again, and keeps what is better."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from support.small_world import catalogue, small_world, viewers
from umbel.planner import solve
from umbel.planner.problem import Goal, Problem, Tradeoff, Variant
from umbel.planner.result import Meaning, Result
from umbel.simulator import run
from umbel.simulator.config import Config, Phase, Steering
from umbel.simulator.run import EngineName


class Starved:
    """In place of the planner's `solve.plan`: the numbered calls come to the last resort of one
    that ran out of time, nobody served; the others to what they should."""

    def __init__(self, *short: int) -> None:
        self.short, self.calls, self.real = short, 0, solve.plan

    def __call__(self, problem: Problem, goal: Goal, variant: Variant, **rest: Any) -> Result:
        self.calls += 1
        if self.calls not in self.short:
            return self.real(problem, goal, variant, **rest)
        result = self.real(problem, Tradeoff(gamma=0.0), variant, **rest)
        assert result.plan is not None
        assert result.plan.qoe == 0.0
        return replace(result, meaning=Meaning.FEASIBLE)


def config(load: float) -> Config:
    """The run begins with a plan for that load."""
    return Config(
        steering=Steering.VIRCA,
        phases=(Phase(duration_s=400.0, loads=(load,)),),
        clusters=6,
        sample_s=40.0,
        rca_s=50.0,
        virca_s=1000.0,
        gamma=10.0,
    )


def played(monkeypatch: pytest.MonkeyPatch, load: float, *short: int) -> list[tuple[str, bool]]:
    """Of each plan why it came, and whether it serves anybody: few viewers, then many, on both
    engines, which agree."""
    there = small_world(lightpath_mbps=1000.0)
    random = np.random.default_rng(2)
    contents = catalogue(random)
    few = viewers(random, there, contents, 30, span_s=200.0)
    many = viewers(random, there, contents, 200, span_s=150.0)
    late = replace(many, time_s=many.time_s + 200.0, until_s=many.until_s + 200.0)
    runs = []
    for engine in EngineName:
        with monkeypatch.context() as patch:
            patch.setattr(solve, "plan", Starved(*short))
            runs.append(run.replay(config(load), there, contents, [few, late], engine=engine))
    one, other = runs
    assert one.marks() == other.marks()
    assert np.array_equal(one.record.outcomes.outcome, other.record.outcomes.outcome)
    return [
        (steering.why, steering.plan is not None and steering.plan.qoe > 0)
        for _at_s, steering in one.record.steering
    ]


def test_a_plan_for_which_time_ran_out_is_soon_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """RCA finds nobody served on what such a plan has on, and that is not enough."""
    found = played(monkeypatch, 1.0, 1)
    assert found[:2] == [("start", False), ("virca", True)]


def test_rcas_answer_stays_where_time_ran_out_for_a_better_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second plan is the first for viewers that were seen; the third is called by RCA."""
    proven = played(monkeypatch, 0.0)
    assert proven[:3] == [("start", False), ("virca", True), ("virca", True)]
    starved = played(monkeypatch, 0.0, 3)
    assert starved[:3] == [("start", False), ("virca", True), ("rca", True)]


def test_a_plan_for_nobody_is_no_bar_for_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of nothing is all there is to serve; what comes then is judged by that."""
    assert played(monkeypatch, 0.0)[1] == ("virca", True)
