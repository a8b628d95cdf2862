"""The back-end workflow step by step, and its two alternatives, over SLS's test network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.views import TOPOLOGY, X, edge, forwarder, planted, room, view
from umbel.compute.model import NoSuchNode
from umbel.delivery.policy.base import Policy
from umbel.delivery.policy.consolidation import Consolidation
from umbel.delivery.policy.qos import Qos
from umbel.delivery.policy.sls import Sls
from umbel.delivery.policy.virca import Virca
from umbel.delivery.trees.grafting import depth, edges_of
from umbel.delivery.trees.view import FunctionView, NoCapacity

POLICIES = [Sls(), Consolidation(), Qos(), Virca()]
SERVED_AT_PE4 = planted(
    forwarder("c1"), forwarder("c2", "forwarder-c1-1"), edge("pe4", "forwarder-c2-1")
)


def idle_edge(node: str) -> FunctionView:
    return FunctionView(id=f"edge-{node}-1", role="edge", node=node)


# -- sls ------------------------------------------------------------------------------------


def test_step_1_an_edge_of_the_access_node_that_has_the_event_is_taken() -> None:
    got = Sls().assign(view(SERVED_AT_PE4), X, "pe4")
    assert (got.function, got.tree) == ("edge-pe4-1", SERVED_AT_PE4)


def test_step_2_an_edge_of_the_access_node_that_lacks_the_event_is_connected() -> None:
    got = Sls().assign(view(planted(), functions={"edge-pe4-1": idle_edge("pe4")}), X, "pe4")
    assert got.function == "edge-pe4-1"
    assert edges_of(got.tree) == [("pe1", "c1"), ("c1", "c2"), ("c2", "pe4")]


def test_step_2_comes_before_a_neighbour_that_has_the_event() -> None:
    seen = view(SERVED_AT_PE4, functions={"edge-pe5-1": idle_edge("pe5")})
    assert Sls().assign(seen, X, "pe5").node == "pe5"


def test_step_3_a_neighbour_that_has_the_event_is_taken() -> None:
    got = Sls().assign(view(SERVED_AT_PE4), X, "pe5")
    assert (got.node, got.tree) == ("pe4", SERVED_AT_PE4)


def test_step_3_a_full_neighbour_is_passed_over() -> None:
    full = {"pe4": room("pe4", mbps_free=1.0)}
    assert Sls().assign(view(SERVED_AT_PE4, nodes=full), X, "pe5").node == "pe5"


def test_step_4_a_new_edge_is_created_when_no_neighbour_can() -> None:
    got = Sls().assign(view(SERVED_AT_PE4), X, "pe2")
    assert got.function == "edge-pe2-1"
    assert ("c1", "pe2") in edges_of(got.tree)
    assert got.tree.branch("forwarder-c1-1") is not None
    assert len(got.tree.branches) == len(SERVED_AT_PE4.branches) + 1


def test_step_4_goes_elsewhere_when_the_access_node_has_no_room() -> None:
    full = {"pe2": room("pe2", cores_free=0.0)}
    assert Sls().assign(view(planted(), nodes=full), X, "pe2").node in {"pe1", "pe3"}


def test_a_viewer_beside_the_provider_is_fed_by_the_acquirer() -> None:
    assert edges_of(Sls().assign(view(planted()), X, "pe1").tree) == [("pe1", "pe1")]


# -- the others -----------------------------------------------------------------------------


def test_consolidation_fills_a_far_edge_before_it_starts_a_near_one() -> None:
    got = Consolidation().assign(view(planted(edge("pe4"))), X, "pe2")
    assert got.function == "edge-pe4-1"


def test_consolidation_starts_its_first_edge_where_something_runs() -> None:
    got = Consolidation().assign(view(planted()), X, "pe5")
    assert got.node == "pe1"
    assert depth(got.tree) == 1


def test_qos_serves_at_the_access_node_and_directly() -> None:
    got = Qos().assign(view(planted(edge("pe4"))), X, "pe5")
    assert got.function == "edge-pe5-1"
    assert edges_of(got.tree) == [("pe1", "pe4"), ("pe1", "pe5")]


def test_qos_takes_the_least_loaded_edge() -> None:
    edges = {
        f"edge-pe5-{n}": FunctionView(id=f"edge-pe5-{n}", role="edge", node="pe5", load=load)
        for n, load in ((1, 0.9), (2, 0.1))
    }
    assert Qos().assign(view(planted(), functions=edges), X, "pe5").function == "edge-pe5-2"


# -- all ------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
def test_nobody_has_room(policy: Policy) -> None:
    for lack, reason in (("cores_free", "cpu"), ("mbps_free", "bandwidth")):
        full = {name: room(name, **{lack: 0.0}) for name in TOPOLOGY.nodes}
        with pytest.raises(NoCapacity) as refusal:
            policy.assign(view(planted(), nodes=full), X, "pe4")
        assert refusal.value.code == "umbel.no_capacity"
        assert refusal.value.details["reason"] == reason
        assert refusal.value.retry_after_s


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
def test_no_link_has_room(policy: Policy) -> None:
    choked = {frozenset((link.a, link.b)): 0.5 for link in TOPOLOGY.links}
    full = {"pe1": room("pe1", cores_free=0.0)}
    with pytest.raises(NoCapacity):
        policy.assign(view(planted(), nodes=full, links=choked), X, "pe4")


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
def test_an_unknown_access_node_is_named(policy: Policy) -> None:
    with pytest.raises(NoSuchNode, match="pe9"):
        policy.assign(view(planted()), X, "pe9")


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.name)
@given(data=st.data())
def test_whatever_comes_the_answer_is_a_tree_that_serves(
    policy: Policy, data: st.DataObject
) -> None:
    """Viewers arrive anywhere, nodes are full or broken at random: the tree stays a tree."""
    tree = planted()
    names = sorted(n for n in TOPOLOGY.nodes if n.startswith("pe"))
    for _ in range(data.draw(st.integers(1, 6))):
        full = data.draw(st.sets(st.sampled_from(TOPOLOGY.nodes), max_size=4))
        broken = frozenset(data.draw(st.sets(st.sampled_from(TOPOLOGY.nodes), max_size=2)))
        nodes = {name: room(name, cores_free=0.0) for name in full}
        try:
            got = policy.assign(
                view(tree, nodes=nodes, broken=broken - {"pe1"}),
                X,
                data.draw(st.sampled_from(names)),
            )
        except NoCapacity:
            continue
        tree = got.tree
        served = tree.branch(got.function)
        assert served is not None
        assert (served.role, served.node) == ("edge", got.node)
        functions = [b.function for b in tree.branches]
        assert len(functions) == len(set(functions))
        assert [b.function for b in tree.branches if not b.parent] == ["acquirer-pe1-1"]
        assert all(b.parent in functions for b in tree.branches if b.parent)
        assert all(tree.branch(b.parent).role != "edge" for b in tree.branches if b.parent)
        assert depth(tree) <= len(TOPOLOGY.nodes)
