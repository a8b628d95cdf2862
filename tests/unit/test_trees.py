"""Growing, trimming and mending trees."""

from dataclasses import replace

import pytest

from support.views import X, edge, forwarder, planted, room, running, view
from umbel.delivery.trees.grafting import (
    Relaying,
    depth,
    edges_of,
    graft,
    leaf,
    links_of,
    new_tree,
    prune,
    repair,
)
from umbel.delivery.trees.view import FunctionView, NoCapacity

CHAIN = planted(forwarder("c1"), forwarder("c2", "forwarder-c1-1"), edge("pe4", "forwarder-c2-1"))


def test_an_acquirer_is_planted_at_the_provider() -> None:
    tree = new_tree(view(), X, "pe3")
    assert [(b.role, b.node) for b in tree.branches] == [("acquirer", "pe3")]


def test_a_running_acquirer_is_shared() -> None:
    other = replace(planted(), stream="ev_y")
    assert new_tree(view(other), X, "pe1").root.function == "acquirer-pe1-1"


def test_no_room_for_an_acquirer() -> None:
    with pytest.raises(NoCapacity):
        new_tree(view(nodes={"pe1": room("pe1", memory_free_mb=1.0)}), X, "pe1")


def test_grafting_twice_is_grafting_once() -> None:
    assert graft(view(CHAIN), CHAIN, leaf("edge-pe4-1", "pe4"), Relaying.EVERY_CORE) is CHAIN


def test_a_branch_starts_at_the_deepest_forwarder_on_the_way() -> None:
    tree = graft(view(CHAIN), CHAIN, leaf("edge-pe5-1", "pe5"), Relaying.EVERY_CORE)
    assert tree.branch("edge-pe5-1").parent == "forwarder-c2-1"
    assert depth(tree) == 3


def test_without_relays_a_full_link_brings_them_in() -> None:
    direct = planted(edge("pe4"))
    narrow = {frozenset(("pe1", "c1")): 1.0}
    assert edges_of(graft(view(direct), direct, leaf("edge-pe5-1", "pe5"), Relaying.NONE))[-1] == (
        "pe1",
        "pe5",
    )
    with pytest.raises(NoCapacity, match="pe5"):
        graft(view(direct, links=narrow), direct, leaf("edge-pe5-1", "pe5"), Relaying.NONE)
    tree = graft(view(CHAIN, links=narrow), CHAIN, leaf("edge-pe5-1", "pe5"), Relaying.NONE)
    assert tree.branch("edge-pe5-1").parent == "forwarder-c2-1"


def test_an_idle_edge_lingers_and_then_goes_with_its_forwarders() -> None:
    idle = prune(CHAIN, set(), now_s=100.0, linger_s=10.0)
    assert idle.branch("edge-pe4-1").idle_since_s == 100.0
    assert prune(idle, set(), now_s=109.9, linger_s=10.0) == idle
    assert prune(idle, set(), now_s=110.0, linger_s=10.0) == planted()


def test_a_viewer_in_the_linger_time_saves_the_edge() -> None:
    idle = prune(CHAIN, set(), now_s=100.0, linger_s=10.0)
    assert prune(idle, {"edge-pe4-1"}, now_s=109.0, linger_s=10.0) == CHAIN


def test_pruning_one_edge_keeps_what_the_other_needs() -> None:
    both = planted(*CHAIN.branches[1:], edge("pe5", "forwarder-c2-1"))
    idle = prune(both, {"edge-pe5-1"}, now_s=0.0, linger_s=0.0)
    kept = prune(idle, {"edge-pe5-1"}, now_s=1.0, linger_s=0.0)
    assert [b.function for b in kept.branches] == [
        "acquirer-pe1-1",
        "forwarder-c1-1",
        "forwarder-c2-1",
        "edge-pe5-1",
    ]


def test_a_sound_tree_is_left_alone() -> None:
    assert repair(view(CHAIN), CHAIN, Relaying.EVERY_CORE) is CHAIN


def test_a_hopeless_forwarder_is_gone_around() -> None:
    mended = repair(view(CHAIN, broken=frozenset({"c1"})), CHAIN, Relaying.EVERY_CORE)
    assert mended.branch("forwarder-c1-1") is None
    assert edges_of(mended) == [("pe1", "c2"), ("c2", "pe4")]


def test_a_hopeless_edge_is_left_out_and_its_forwarders_with_it() -> None:
    dead = replace(running(CHAIN)["edge-pe4-1"], usable=False)
    mended = repair(view(CHAIN, functions={dead.id: dead}), CHAIN, Relaying.EVERY_CORE)
    assert mended == planted()


def test_an_edge_that_no_link_can_feed_is_left_out() -> None:
    choked = {frozenset(("pe4", "c2")): 0.0}
    mended = repair(view(CHAIN, broken=frozenset({"c1"}), links=choked), CHAIN, Relaying.EVERY_CORE)
    assert mended == planted()


def test_the_acquirer_stays_though_its_function_fails() -> None:
    dead = FunctionView(id="acquirer-pe1-1", role="acquirer", node="pe1", usable=False)
    mended = repair(view(CHAIN, functions={dead.id: dead}), CHAIN, Relaying.EVERY_CORE)
    assert mended.root is not None


def test_where_switches_copy_every_edge_hangs_on_the_root() -> None:
    tree = planted()
    for node in ("pe4", "pe5"):
        seen = view(tree, copies=True)
        tree = graft(seen, tree, leaf(f"edge-{node}-1", node), Relaying.EVERY_CORE)
    assert edges_of(tree) == [("pe1", "pe4"), ("pe1", "pe5")]
    passed = [sorted(link) for link in links_of(view(tree, copies=True), tree)]
    assert passed == [["c1", "pe1"], ["c1", "c2"], ["c2", "pe4"], ["c2", "pe5"]]


def test_where_switches_copy_a_link_in_use_needs_no_more_room() -> None:
    tree = planted(edge("pe4"))
    full = {frozenset(("c1", "c2")): 0.0}
    seen = view(tree, links=full, copies=True)
    assert (
        graft(seen, tree, leaf("edge-pe5-1", "pe5"), Relaying.NONE).branch("edge-pe5-1") is not None
    )
    with pytest.raises(NoCapacity, match="pe5"):
        graft(view(planted(), links=full, copies=True), planted(), leaf("e", "pe5"), Relaying.NONE)


def test_forwarders_of_another_fabric_go_where_switches_copy() -> None:
    mended = repair(view(CHAIN, copies=True), CHAIN, Relaying.EVERY_CORE)
    assert mended == planted(edge("pe4"))
