"""Which edge a viewer of a recording gets: one that has it, one with room, a neighbour, a new one
(SLS, figure 6); live viewers count first."""

import pytest

from support.views import edge, planted, room, view
from umbel.compute.model import NoSuchNode
from umbel.delivery.model import RECORDER, Branch
from umbel.delivery.policy.base import Policy
from umbel.delivery.policy.consolidation import Consolidation
from umbel.delivery.policy.qos import Qos
from umbel.delivery.policy.sls import Sls
from umbel.delivery.policy.virca import Virca
from umbel.delivery.replays import rules
from umbel.delivery.replays.model import ReplayLoad, ReplayViewer
from umbel.delivery.trees.view import NoCapacity, View

CAPTURE, MBPS = "cap_1", 3.0


def load(node: str, viewers: int = 1, capture: str = CAPTURE, number: int = 1) -> ReplayLoad:
    return ReplayLoad(
        capture_id=capture,
        function=f"edge-{node}-{number}",
        edge_node=node,
        viewers=viewers,
        mbps=MBPS * viewers,
    )


def chosen(
    there: View,
    *loads: ReplayLoad,
    holding: dict[str, set[str]] | None = None,
    policy: Policy | None = None,
    node: str = "pe2",
) -> str:
    viewer = ReplayViewer(capture_id=CAPTURE, access_node=node, mbps=MBPS)
    found = rules.choose(there, policy or Sls(), loads, holding or {}, viewer)
    assert found.function.startswith(f"edge-{found.node}-")
    return found.function


def test_an_edge_that_has_it_comes_first() -> None:
    tree = planted(edge("pe2"), Branch(function="edge-pe2-2", role="edge", node="pe2"))
    assert chosen(view(tree), load("pe2", number=2)) == "edge-pe2-2"
    assert chosen(view(tree), holding={"edge-pe2-2": {CAPTURE}}) == "edge-pe2-2"
    assert chosen(view(tree), holding={"edge-pe2-2": {"cap_2"}}) == "edge-pe2-1"


def test_then_one_with_room_at_the_access_node() -> None:
    assert chosen(view(planted(edge("pe2")))) == "edge-pe2-1"


def test_then_a_neighbour_then_a_new_one() -> None:
    assert chosen(view(planted(edge("pe1")))) == "edge-pe1-1"
    assert chosen(view(planted())) == "edge-pe2-1"


def test_an_edge_that_only_replays_wanted_and_that_starts_is_shared() -> None:
    assert chosen(view(planted()), load("pe2", number=7)) == "edge-pe2-7"


def test_a_full_edge_is_left_for_another() -> None:
    there = view(planted(edge("pe2")))
    assert chosen(there, load("pe2", rules.MOST_VIEWERS)) != "edge-pe2-1"


def test_what_other_replays_take_is_not_free() -> None:
    there = view(planted(edge("pe2")), nodes={"pe2": room("pe2", mbps_free=7.0)})
    assert chosen(there, load("pe2", 1)) == "edge-pe2-1"
    assert not chosen(there, load("pe2", 2)).startswith("edge-pe2")


def test_live_viewers_do_not_see_what_replays_take() -> None:
    there = view(planted(edge("pe2")), nodes={"pe2": room("pe2", mbps_free=7.0)})
    chosen(there, load("pe2", 2))
    assert Sls().assign(there, "ev_x", "pe2").node == "pe2"


def test_without_room_nobody_serves() -> None:
    full = {f"pe{n}": room(f"pe{n}", mbps_free=1.0) for n in range(1, 9)}
    with pytest.raises(NoCapacity):
        chosen(view(planted(edge("pe2")), nodes=full))
    with pytest.raises(NoSuchNode):
        chosen(view(planted()), node="nowhere")


@pytest.mark.parametrize("policy", [Sls(), Qos(), Consolidation(), Virca()], ids=lambda p: p.name)
def test_every_policy_takes_the_edge_that_has_it(policy: Policy) -> None:
    there = view(planted(edge("pe2"), Branch(function="edge-pe2-2", role="edge", node="pe2")))
    assert chosen(there, load("pe2", number=2), policy=policy) == "edge-pe2-2"


def test_where_a_new_edge_starts_is_the_policys() -> None:
    assert chosen(view(planted()), policy=Qos()) == "edge-pe2-1"
    assert chosen(view(planted()), policy=Consolidation()) == "edge-pe1-1", "a node that is in use"


def test_silent_edges_serve_nobody_new() -> None:
    there = rules.without(view(planted(edge("pe2"))), {"edge-pe2-1"})
    assert chosen(there, load("pe2")) != "edge-pe2-1"


def test_other_functions_that_keep_it_are_no_edges() -> None:
    recorder = Branch(function="recorder-pe2-1", role=RECORDER, node="pe2")
    there = view(planted(recorder))
    assert chosen(there, holding={"recorder-pe2-1": {CAPTURE}}) == "edge-pe2-1"


def test_edges_run_as_long_as_replays_need_them_but_not_on_nodes_to_leave() -> None:
    loads = [load("pe2"), load("pe2", capture="cap_2"), load("pe3")]
    found = rules.wanted(loads, stays=lambda node: node != "pe3")
    assert [b.function for b in found] == ["edge-pe2-1"]


def test_replays_may_send_what_live_viewers_leave() -> None:
    there = view(
        planted(), nodes={"pe2": room("pe2", mbps_free=30.0), "pe3": room("pe3", mbps_free=-4.0)}
    )
    loads = [load("pe2"), load("pe2", number=2), load("pe2", capture="cap_2"), load("pe3")]
    assert rules.allowances(there, loads) == {
        "edge-pe2-1": 15.0,
        "edge-pe2-2": 15.0,
        "edge-pe3-1": 0.0,
    }
