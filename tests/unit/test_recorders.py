"""Where recorders stand in trees, and when they go."""

from dataclasses import replace

import pytest

from support.views import ACQUIRER, X, edge, forwarder, planted, room, running, view
from umbel.delivery.model import Branch, Tree
from umbel.delivery.policy import recorders
from umbel.delivery.trees import grafting
from umbel.delivery.trees.grafting import Relaying
from umbel.delivery.trees.view import NoCapacity, View

ROOT = ACQUIRER.function


def recorder(node: str, parent: str = ROOT, over_s: float | None = None) -> Branch:
    return Branch(
        function=f"recorder-{node}-1",
        role="recorder",
        node=node,
        parent=parent if over_s is None else "",
        idle_since_s=over_s,
    )


def attached(seen: View, tree: Tree, *sending: str, now_s: float = 50.0) -> Tree:
    return recorders.attached(
        seen, tree, sending=sending, now_s=now_s, relaying=Relaying.EVERY_CORE
    )


def shown(tree: Tree) -> list[tuple[str, str, bool]]:
    """The recorders: node, parent, and whether their stream is over."""
    return [(b.node, b.parent, b.idle_since_s is not None) for b in recorders.of(tree)]


def test_it_stands_where_the_stream_begins_and_comes_once() -> None:
    tree = attached(view(planted()), planted())
    assert shown(tree) == [("pe1", ROOT, False)]
    assert tree.branches[-1].function == "recorder-pe1-1"
    assert attached(view(tree), tree) == tree
    assert attached(view(tree), tree, ROOT, "recorder-pe1-1") == tree


def test_a_running_one_takes_another_stream() -> None:
    one = planted(recorder("pe1"))
    other = planted(stream="ev_y")
    tree = attached(view(one, other), other)
    assert tree.branches[-1].function == "recorder-pe1-1"
    full = replace(running(one)["recorder-pe1-1"], cores_free=0.001)
    busy = view(one, other, functions={full.id: full})
    assert attached(busy, other).branches[-1].function == "recorder-pe1-2"


@pytest.mark.parametrize(
    "short", [{"cores_free": 0.01}, {"memory_free_mb": 200.0}, {"mbps_free": 1.0}]
)
def test_without_room_there_it_stands_as_near_as_there_is(short: dict[str, float]) -> None:
    tree = attached(view(planted(), nodes={"pe1": room("pe1", **short)}), planted())
    ((node, _, _),) = shown(tree)
    assert node == view(planted()).routes.nearest("pe1")[0].target


def test_neither_closed_nor_broken_nor_avoided_nodes_take_it() -> None:
    nearest = [way.target for way in view(planted()).routes.nearest("pe1")]
    closed = {"pe1": replace(room("pe1"), is_closed=True)}
    seen = view(planted(), nodes=closed, broken=frozenset(nearest[:1]))
    seen = replace(seen, avoided_nodes=frozenset(nearest[1:2]))
    ((node, _, _),) = shown(attached(seen, planted()))
    assert node == nearest[2]


def test_where_nobody_has_room_it_says_so() -> None:
    nodes = {name: room(name, memory_free_mb=10.0) for name in view(planted()).nodes}
    with pytest.raises(NoCapacity, match="room for a recorder"):
        attached(view(planted(), nodes=nodes), planted())


def test_full_links_keep_it_from_other_nodes() -> None:
    seen = view(planted(), nodes={"pe1": replace(room("pe1"), is_closed=True)})
    full = replace(seen, links_free_mbps=dict.fromkeys(seen.links_free_mbps, 0.0))
    with pytest.raises(NoCapacity):
        attached(full, planted())


def test_another_begins_before_one_on_a_closed_node_ends() -> None:
    before = planted(recorder("pe1"))
    closed = view(before, nodes={"pe1": replace(room("pe1"), is_closed=True)})
    both = attached(closed, before, ROOT, "recorder-pe1-1")
    (first, second) = recorders.of(both)
    assert (first, second.node) == (recorder("pe1"), "c1")
    seen = replace(view(both), nodes=closed.nodes)
    assert attached(seen, both, ROOT, first.function) == both
    handed = attached(seen, both, ROOT, first.function, second.function)
    assert shown(handed) == [("pe1", "", True), ("c1", ROOT, False)]
    assert attached(seen, handed, ROOT, second.function) == handed


def test_when_nothing_flows_there_is_nothing_to_wait_for() -> None:
    both = planted(recorder("pe1"), recorder("c1"))
    seen = view(both, nodes={"pe1": replace(room("pe1"), is_closed=True)})
    assert shown(attached(seen, both)) == [("pe1", "", True), ("c1", ROOT, False)]


def test_a_node_that_opens_again_keeps_its_recorder() -> None:
    both = planted(recorder("pe1"), recorder("c1"))
    names = (ROOT, "recorder-pe1-1", "recorder-c1-1")
    assert attached(view(both), both, *names) == planted(recorder("pe1"))


def test_who_is_lost_is_replaced() -> None:
    tree = planted(recorder("c1"))
    lost = view(tree, broken=frozenset({"c1"}))
    mended = grafting.repair(lost, tree, Relaying.EVERY_CORE)
    assert mended == planted()
    assert shown(attached(lost, mended)) == [("pe1", ROOT, False)]


def test_it_goes_when_nobody_wants_it_with_its_forwarders() -> None:
    tree = planted(edge("pe4"), forwarder("c1"), recorder("c2", "forwarder-c1-1"))
    assert recorders.kept(tree, is_wanted=True, finished=(), now_s=0.0) == tree
    assert recorders.kept(tree, is_wanted=False, finished=(), now_s=0.0) == planted(edge("pe4"))


def test_one_whose_stream_is_over_waits_to_be_pulled_but_not_for_ever() -> None:
    tree = planted(recorder("pe1", over_s=10.0), recorder("c1"))
    kept = recorders.kept(tree, is_wanted=True, finished=("recorder-c1-1",), now_s=69.9)
    assert kept == tree
    gone = planted(recorder("c1"))
    assert recorders.kept(tree, is_wanted=True, finished=(), now_s=70.0) == gone
    assert recorders.kept(tree, is_wanted=True, finished=("recorder-pe1-1",), now_s=11.0) == gone


def test_viewers_who_leave_do_not_bring_a_recorder_back() -> None:
    tree = planted(recorder("pe1", over_s=10.0), edge("pe4"))
    assert grafting.prune(tree, set(), now_s=20.0, linger_s=0.0).branches[1] == tree.branches[1]


def test_the_end_leaves_recorders_alone_and_no_root() -> None:
    tree = planted(edge("pe4"), forwarder("c1"), recorder("c2", "forwarder-c1-1"))
    left = recorders.alone(tree, 30.0)
    assert left.branches == (recorder("c2", over_s=30.0),)
    assert left.root is None
    assert recorders.alone(left, 40.0) == left
    assert recorders.alone(planted(edge("pe4")), 30.0).branches == ()


def test_without_an_acquirer_the_stream_is_over() -> None:
    orphan = Tree(stream=X, branches=(recorder("pe1"),), version=1)
    kept = recorders.kept(orphan, is_wanted=True, finished=(), now_s=5.0)
    assert kept.branches == (recorder("pe1", over_s=5.0),)
    assert attached(view(kept), kept) == kept


def test_a_new_stream_gets_another_function_than_the_one_that_still_has_the_last() -> None:
    tree = planted(recorder("pe1", over_s=5.0))
    assert [b.function for b in recorders.of(attached(view(tree), tree))] == [
        "recorder-pe1-1",
        "recorder-pe1-2",
    ]


def test_where_switches_copy_it_hangs_on_the_root() -> None:
    tree = planted(forwarder("c1"), recorder("c2", "forwarder-c1-1"), recorder("pe2", over_s=1.0))
    flat = grafting.repair(view(tree, copies=True), tree, Relaying.EVERY_CORE)
    assert flat == planted(recorder("c2"), recorder("pe2", over_s=1.0))
