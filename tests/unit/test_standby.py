"""Nodes go to standby empty and come back in time: the rules, and the door over the fake VIM."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute import standby
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.model import (
    NODE_LIFE,
    Description,
    Function,
    Inventory,
    Node,
    NodeEvent,
    NodeKind,
    NodeState,
)
from umbel.compute.service import Compute, NoSuchNode
from umbel.compute.standby import Condition
from umbel.kit.clock import LoopClock

PE1 = Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="127.0.1.1")
PE2 = Node(name="pe2", kind=NodeKind.PROVIDER_EDGE, address="127.0.2.1")
EDGE = Function(id="edge-pe2-1", node="pe2", description=Description(name="edge"))
CACHE = Function(id="cache-pe2-1", node="pe2", description=Description(name="cache"))
OURS = "delivery"
WAKE_S = 8.0


def one(state: NodeState, *, rests: bool, calls: bool | None, age_s: float = 0.0) -> NodeState:
    busy = None if calls is None else frozenset({"n"} if calls else ())
    after = standby.step(
        {"n": Condition(state=state, since_s=0.0)},
        frozenset({"n"} if rests else ()),
        busy,
        now_s=age_s,
        wake_s=WAKE_S,
    )
    return after["n"].state


@pytest.mark.parametrize(
    ("state", "rests", "calls", "after"),
    [
        (NodeState.ACTIVE, False, False, NodeState.ACTIVE),
        (NodeState.ACTIVE, True, False, NodeState.DRAINING),
        (NodeState.DRAINING, True, True, NodeState.DRAINING),
        (NodeState.DRAINING, True, None, NodeState.DRAINING),
        (NodeState.DRAINING, True, False, NodeState.STANDBY),
        (NodeState.DRAINING, False, True, NodeState.ACTIVE),
        (NodeState.STANDBY, True, False, NodeState.STANDBY),
        (NodeState.STANDBY, True, None, NodeState.STANDBY),
        (NodeState.STANDBY, True, True, NodeState.WAKING),
        (NodeState.STANDBY, False, False, NodeState.WAKING),
        (NodeState.WAKING, True, None, NodeState.WAKING),
        (NodeState.WAKING, True, True, NodeState.WAKING),
        (NodeState.WAKING, True, False, NodeState.STANDBY),
        (NodeState.WAKING, False, False, NodeState.WAKING),
    ],
)
def test_each_state_answers_to_what_is_wanted(
    state: NodeState, rests: bool, calls: bool | None, after: NodeState
) -> None:
    assert one(state, rests=rests, calls=calls) is after


def test_waking_takes_its_time() -> None:
    assert one(NodeState.WAKING, rests=False, calls=False, age_s=WAKE_S - 0.1) is NodeState.WAKING
    assert one(NodeState.WAKING, rests=False, calls=False, age_s=WAKE_S) is NodeState.ACTIVE
    waking = {"n": Condition(state=NodeState.WAKING, since_s=2.0), "m": Condition()}
    assert standby.waits_s(waking, now_s=5.0, wake_s=WAKE_S) == [5.0]


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0.0, 20.0)), max_size=40))
def test_no_node_with_a_function_goes_to_standby_and_a_called_one_comes_up(
    wishes: list[tuple[bool, bool, float]],
) -> None:
    now_s, states = 0.0, {"n": Condition()}
    for rests, calls, passed_s in wishes:
        now_s += passed_s
        before = states["n"].state
        resting = frozenset({"n"} if rests else ())
        busy = frozenset({"n"} if calls else ())
        states = standby.step(states, resting, busy, now_s=now_s, wake_s=WAKE_S)
        if calls and before in standby.UP:
            assert states["n"].state in standby.UP
        if calls or not rests:
            assert states["n"].state is not NodeState.STANDBY
            later = standby.step(states, resting, busy, now_s=now_s + WAKE_S, wake_s=WAKE_S)
            assert later["n"].state in standby.UP


def test_every_state_is_reached_and_left() -> None:
    assert {start for start, _ in NODE_LIFE.transitions} == set(NodeState)
    assert set(NODE_LIFE.transitions.values()) == set(NodeState)
    assert {event for _, event in NODE_LIFE.transitions} == set(NodeEvent)


# -- the service ------------------------------------------------------------------------------


def made() -> Compute:
    clock = LoopClock()
    return Compute(
        Inventory(nodes=(PE1, PE2)), FakeVim(clock), clock, owners=(OURS, "mano"), wake_s=WAKE_S
    )


@pytest.mark.looptime
async def test_a_node_drains_before_it_rests_and_wakes_when_it_is_needed() -> None:
    compute = made()
    await compute.ensure(OURS, {EDGE.id: EDGE})
    compute.set_standby(OURS, ["pe2"])
    for _ in range(3):
        compute.set_standby(OURS, ["pe2"])
        await compute.ensure(OURS, {EDGE.id: EDGE})
    assert compute.state("pe2") is NodeState.DRAINING
    assert set(await compute.running()) == {EDGE.id}
    await compute.ensure(OURS, {})
    await compute.ensure(OURS, {})
    assert (compute.state("pe1"), compute.state("pe2")) == (NodeState.ACTIVE, NodeState.STANDBY)
    compute.set_standby(OURS, [])
    assert compute.state("pe2") is NodeState.WAKING
    assert (await compute.ensure(OURS, {})).again_s == WAKE_S
    await asyncio.sleep(WAKE_S)
    await compute.ensure(OURS, {})
    assert compute.state("pe2") is NodeState.ACTIVE


@pytest.mark.looptime
async def test_a_function_for_a_node_in_standby_wakes_it_and_waits() -> None:
    compute = made()
    compute.set_standby(OURS, ["pe2"])
    await compute.ensure(OURS, {})
    assert compute.state("pe2") is NodeState.STANDBY
    first = await compute.ensure(OURS, {EDGE.id: EDGE})
    assert (first.started, first.refused, first.again_s) == ((), {}, WAKE_S)
    assert await compute.running() == {}
    await asyncio.sleep(WAKE_S)
    assert (await compute.ensure(OURS, {EDGE.id: EDGE})).started == (EDGE.id,)
    assert compute.state("pe2") is NodeState.DRAINING
    assert compute.failures(OURS, EDGE.id) == 0


@pytest.mark.looptime
async def test_a_failing_function_of_a_draining_node_is_started_again() -> None:
    clock = LoopClock()
    vim = FakeVim(clock)
    compute = Compute(Inventory(nodes=(PE1, PE2)), vim, clock, owners=(OURS, "mano"), wake_s=WAKE_S)
    await compute.ensure(OURS, {EDGE.id: EDGE})
    compute.set_standby(OURS, ["pe2"])
    await asyncio.sleep(1)
    vim.kill(EDGE.id)
    assert (await compute.ensure(OURS, {EDGE.id: EDGE})).started == (EDGE.id,)


@pytest.mark.looptime
async def test_an_unknown_rest_changes_nothing() -> None:
    compute = made()
    with pytest.raises(NoSuchNode):
        compute.set_standby(OURS, ["pe1", "pe9"])
    assert compute.standby_wanted(OURS) == frozenset()
    assert compute.state("pe1") is NodeState.ACTIVE


def test_a_node_that_another_owner_uses_does_not_go_to_standby() -> None:
    wanted = {OURS: frozenset({"a", "b"}), "mano": frozenset({"c"})}
    users = {"a": frozenset({OURS}), "b": frozenset({OURS, "mano"}), "c": frozenset({OURS})}
    assert standby.agreed(wanted, users) == {"a"}


@pytest.mark.looptime
async def test_a_node_goes_to_standby_once_the_other_owner_has_left_it() -> None:
    compute = made()
    await compute.ensure("mano", {CACHE.id: CACHE})
    compute.set_standby(OURS, ["pe2"])
    await compute.ensure(OURS, {})
    assert compute.state("pe2") is NodeState.ACTIVE
    await compute.ensure("mano", {})
    for _ in range(3):
        await compute.ensure(OURS, {})
    assert compute.state("pe2") is NodeState.STANDBY
