"""Placing expected viewers: within the room there is, once, and at the same edges at the next
look."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.views import X, edge, planted, room, view
from umbel.delivery.policy import expected, rooms
from umbel.delivery.policy.base import Policy
from umbel.delivery.policy.consolidation import Consolidation
from umbel.delivery.policy.expected import Placed
from umbel.delivery.policy.qos import Qos
from umbel.delivery.policy.sls import Sls
from umbel.delivery.policy.virca import Virca
from umbel.delivery.trees.view import EDGE, FunctionView, NodeView, View

POLICIES = [Sls(), Consolidation(), Qos(), Virca()]
every_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
ACCESS = ("pe1", "pe2", "pe3", "pe4", "pe5")
MBPS = view(planted()).mbps(X)
free_amounts = st.builds(
    lambda cores, mbps, memory: {"cores_free": cores, "mbps_free": mbps, "memory_free_mb": memory},
    st.floats(0, 2),
    st.floats(0, 100),
    st.sampled_from([0.0, 130.0, 250.0, 2048.0]),
)
networks = st.dictionaries(st.sampled_from(ACCESS), free_amounts)
missing = st.dictionaries(st.sampled_from((*ACCESS, "gone")), st.integers(1, 60))


def over(free: Mapping[str, Mapping[str, float]]) -> View:
    nodes: dict[str, NodeView] = {name: room(name, **amounts) for name, amounts in free.items()}
    return view(planted(edge("pe2")), nodes=nodes)


def placed(at: View, policy: Policy, wanted: Mapping[str, int]) -> Placed:
    return expected.place(at, policy, X, wanted, lambda one, _: one)


@every_policy
@given(free=networks, wanted=missing)
def test_nobody_is_placed_where_there_is_no_room(
    policy: Policy, free: dict[str, dict[str, float]], wanted: dict[str, int]
) -> None:
    before = over(free)
    found = placed(before, policy, wanted)
    for name in ACCESS:
        assert found.view.nodes[name].cores_free >= min(0, before.nodes[name].cores_free) - 1e-9
        assert found.view.nodes[name].mbps_free >= -1e-6
    assert all(free >= -1e-6 for free in found.view.links_free_mbps.values())
    taken = sum(before.nodes[n].mbps_free - found.view.nodes[n].mbps_free for n in ACCESS)
    assert taken == pytest.approx(sum(found.viewers.values()) * MBPS, abs=1e-6)
    known = sum(count for node, count in wanted.items() if node != "gone")
    assert sum(found.viewers.values()) <= known
    edges = {branch.function for branch in found.tree.branches if branch.role == EDGE}
    assert set(found.viewers) <= edges


@every_policy
@given(wanted=missing)
def test_all_are_placed_where_there_is_plenty(policy: Policy, wanted: dict[str, int]) -> None:
    found = placed(over({}), policy, wanted)
    known = sum(count for node, count in wanted.items() if node != "gone")
    assert sum(found.viewers.values()) == known


@every_policy
@given(free=networks, wanted=missing)
def test_once_its_edges_run_the_next_look_wants_no_others(
    policy: Policy, free: dict[str, dict[str, float]], wanted: dict[str, int]
) -> None:
    first = placed(over(free), policy, wanted)
    running = {
        one.id: FunctionView(id=one.id, role=one.role, node=one.node)
        for one in first.view.functions.values()
    }
    # What was promised for its functions is taken; its viewers have not come.
    come = dict.fromkeys(first.view.nodes, 0.0)
    for function, count in first.viewers.items():
        come[first.view.functions[function].node] += count
    costs = first.view.costs
    nodes = {
        name: room(
            name,
            cores_free=node.cores_free + come[name] * costs.viewer_cores,
            mbps_free=node.mbps_free + come[name] * MBPS,
            memory_free_mb=node.memory_free_mb,
        )
        for name, node in first.view.nodes.items()
    }
    again = view(first.tree, nodes=nodes, functions=running, links=first.view.links_free_mbps)
    second = placed(again, policy, wanted)
    assert set(second.tree.branches) == set(first.tree.branches)


@given(free=networks, wanted=missing)
def test_what_is_kept_is_what_was_taken(
    free: dict[str, dict[str, float]], wanted: dict[str, int]
) -> None:
    before = over(free)
    after = placed(before, Qos(), wanted).view
    kept = rooms.kept(before, after)
    left = rooms.without(before, kept)
    for name, node in after.nodes.items():
        assert left.nodes[name].cores_free == pytest.approx(node.cores_free)
        assert left.nodes[name].mbps_free == pytest.approx(node.mbps_free)
        assert left.nodes[name].memory_free_mb == pytest.approx(node.memory_free_mb)
    assert left.links_free_mbps == pytest.approx(dict(after.links_free_mbps))
    assert rooms.without(before, kept, 0.0).nodes == before.nodes


@every_policy
@given(free=networks, first=missing, second=missing)
def test_what_is_kept_together_is_what_was_kept_in_turn(
    policy: Policy,
    free: dict[str, dict[str, float]],
    first: dict[str, int],
    second: dict[str, int],
) -> None:
    before = over(free)
    between = placed(before, policy, first).view
    after = placed(between, policy, second).view
    turns = [rooms.kept(before, between), rooms.kept(between, after)]
    left = rooms.without(before, rooms.together(turns))
    in_turn = rooms.without(rooms.without(before, turns[0]), turns[1])
    for name, node in in_turn.nodes.items():
        assert left.nodes[name].cores_free == pytest.approx(node.cores_free)
        assert left.nodes[name].memory_free_mb == pytest.approx(node.memory_free_mb)
        assert left.nodes[name].mbps_free == pytest.approx(node.mbps_free)
    assert left.links_free_mbps == pytest.approx(in_turn.links_free_mbps)
    assert {i: f.cores_free for i, f in left.functions.items()} == pytest.approx(
        {i: f.cores_free for i, f in in_turn.functions.items()}
    )


@every_policy
@given(free=networks, wanted=missing, closed=st.sets(st.sampled_from(ACCESS)))
def test_nobody_is_placed_at_a_closed_node(
    policy: Policy, free: dict[str, dict[str, float]], wanted: dict[str, int], closed: set[str]
) -> None:
    found = expected.place(over(free), policy, X, wanted, lambda one, _: one, closed)
    branches = (found.tree.branch(function) for function in found.viewers)
    assert found.nodes == {branch.node for branch in branches if branch is not None}
    assert found.nodes.isdisjoint(closed)
