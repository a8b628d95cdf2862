"""The compact form is the literal one: equal optima on random problems, by two solvers."""

import re

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from support import planning
from support.examples import examples
from umbel.planner import checks, fast, formulation, highs
from umbel.planner.highs import Limits, Word
from umbel.planner.linear import Linear
from umbel.planner.problem import Goal, LeastPower, Problem, Tradeoff, Variant

EXACT = Limits(time_s=60.0, gap=1e-6)


def optimum(linear: Linear) -> float | None:
    outcome = highs.solve(linear, EXACT)
    assert outcome.word in {Word.OPTIMAL, Word.INFEASIBLE}
    event(outcome.word)
    return outcome.objective if outcome.word is Word.OPTIMAL else None


def assert_same(one: float | None, other: float | None) -> None:
    if one is None or other is None:
        assert one is other
    else:
        assert one == pytest.approx(other, rel=1e-5, abs=0.05)


@given(
    problem=planning.problems(),
    variant=st.sampled_from(Variant),
    gamma=st.sampled_from([0.05, 0.5, 1.0, 4.0]),
    whole=st.booleans(),
)
@examples(60)
def test_both_forms_have_one_optimum(
    problem: Problem, variant: Variant, gamma: float, whole: bool
) -> None:
    checks.check(problem)
    instance = planning.compiled(problem, variant)
    literal = formulation.build(instance, Tradeoff(gamma=gamma), whole_servers=whole)
    compact = fast.build(instance, Tradeoff(gamma=gamma), whole_servers=whole)
    assert_same(optimum(literal), optimum(compact.linear))


@given(problem=planning.problems(), share=st.sampled_from([0.2, 0.6, 0.95, 1.1]))
@examples(25)
def test_both_forms_agree_on_least_power(problem: Problem, share: float) -> None:
    instance = planning.compiled(problem)
    goal: Goal = LeastPower(qoe_floor=share * instance.full_qoe)
    literal = formulation.build(instance, goal)
    compact = fast.build(instance, goal, whole_servers=True)
    assert_same(optimum(literal), optimum(compact.linear))


@given(
    problem=planning.problems(),
    variant=st.sampled_from(Variant),
    share=st.sampled_from([None, 0.5, 0.95]),
)
@examples(20)
def test_a_second_solver_agrees(problem: Problem, variant: Variant, share: float | None) -> None:
    instance = planning.compiled(problem, variant)
    goal = Tradeoff() if share is None else LeastPower(qoe_floor=share * instance.full_qoe)
    literal = formulation.build(instance, goal).pruned()
    compact = fast.build(instance, goal, whole_servers=True).linear
    mine = optimum(compact)
    assert_same(planning.scip_optimum(literal), mine)
    assert_same(planning.scip_optimum(compact), mine)


NUMBERS = (
    *("(2a)", "(2b)", "(2c)", "(2d)", "(3a)", "(3b)", "(3c)", "(3d)", "(3e)", "(3f)", "(3g)"),
    *("(3h)", "(4a)", "(4b)", "(4c)", "(4d)", "(4e)", "(5a)", "(5b)", "(5c)", "(5d)", "(6a)"),
    "(6b)",
)


def test_every_family_says_its_formula_and_how_sure_it_is() -> None:
    told = [define.__doc__ or "" for define in formulation.FAMILIES]
    for text in told:
        assert re.search(r"\[(A|B|C|ours)\b", text), text
        assert re.search(r"<=|>=|=", text), text
    every = " ".join(told)
    assert [number for number in NUMBERS if number not in every] == []
    heads = (formulation.define_columns.__doc__ or "", formulation.define_rerouting.__doc__ or "")
    assert all(number in heads[0] for number in ("(1a)", "(1b)", "(1d)", "(1e)"))
    assert "(7) [A]" in heads[1]


@given(problem=planning.problems())
@examples(15)
def test_pruning_changes_no_optimum(problem: Problem) -> None:
    literal = formulation.build(planning.compiled(problem))
    assert_same(optimum(literal), optimum(literal.pruned()))
    assert literal.pruned().shape[0] < literal.shape[0]
