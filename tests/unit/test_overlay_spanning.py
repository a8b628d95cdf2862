"""Trees from drawings: every small graph with every kind of role, and what is drawn wrong."""

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.graphs import graphs
from umbel.kit.errors import Unprocessable
from umbel.network.overlay.spanning import (
    Drawing,
    InvalidDrawing,
    Role,
    SpanningTree,
    span,
    weight,
    without,
)

ATLAS = graphs(1, 6)
OTHERS = [Role.RELAY, Role.LEAF, Role.NONE]


def drawing(roles: str, *links: str) -> Drawing:
    """`drawing("a:root b:leaf", "a-b")`."""
    pairs = [word.split(":") for word in roles.split()]
    ends = [link.split("-") for link in links]
    return Drawing(
        roles={name: Role(role) for name, role in pairs}, links=tuple((a, b) for a, b in ends)
    )


def problems_of(drawn: Drawing) -> list[str]:
    with pytest.raises(InvalidDrawing) as caught:
        span(drawn)
    assert isinstance(caught.value, Unprocessable)
    found = caught.value.details["problems"]
    assert isinstance(found, list)
    return found


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    graph = draw(st.sampled_from(ATLAS))
    names = [f"n{node}" for node in graph.nodes]
    roles = {name: draw(st.sampled_from(OTHERS)) for name in names}
    roles[draw(st.sampled_from(names))] = Role.ROOT
    return Drawing(roles=roles, links=tuple((f"n{a}", f"n{b}") for a, b in graph.edges))


def trimmed(drawn: Drawing) -> nx.Graph:
    """What is left after cutting, by another way than the code's: one look at a time."""
    graph = nx.Graph(drawn.links)
    graph.add_nodes_from(drawn.roles)
    while True:
        ends = [
            n for n in graph if graph.degree(n) <= 1 and drawn.roles[n] in (Role.RELAY, Role.NONE)
        ]
        if not ends:
            break
        graph.remove_node(ends[0])
    root = next(n for n, role in drawn.roles.items() if role is Role.ROOT)
    reached = graph.subgraph(nx.node_connected_component(graph, root)).copy()
    for a, b in reached.edges:
        reached.edges[a, b]["weight"] = weight(drawn.roles, (a, b))
    return reached


def check_tree(drawn: Drawing, tree: SpanningTree) -> None:
    reached = trimmed(drawn)
    assert set(tree.nodes) == set(reached)
    assert set(tree.cut) == set(drawn.roles) - set(reached)
    assert nx.is_tree(nx.Graph(tree.links)) if tree.links else set(reached) == {tree.root}
    best = nx.minimum_spanning_tree(reached)
    assert sum(weight(drawn.roles, link) for link in tree.links) == best.size(weight="weight")
    used = {frozenset(link) for link in tree.links}
    spare = {frozenset(link) for link in tree.redundant}
    assert not used & spare
    assert used | spare == {frozenset(edge) for edge in reached.edges}
    for child, parent in tree.parents.items():
        assert tree.nodes.index(parent) < tree.nodes.index(child)
        assert child in tree.children(parent)


@examples(600)
@given(drawings())
def test_every_small_graph(drawn: Drawing) -> None:
    graph = nx.Graph(drawn.links)
    graph.add_nodes_from(drawn.roles)
    root = next(n for n, role in drawn.roles.items() if role is Role.ROOT)
    near = nx.node_connected_component(graph, root)
    lost = [n for n, role in drawn.roles.items() if role is Role.LEAF and n not in near]
    if lost:
        found = problems_of(drawn)
        assert len(found) == len(lost)
        assert all(name in problem for name, problem in zip(lost, found, strict=True))
    else:
        check_tree(drawn, span(drawn))


def test_relays_join_before_leaves_do() -> None:
    tree = span(
        drawing("r:root a:relay b:relay x:leaf y:leaf", "x-y", "x-a", "y-b", "r-a", "a-b", "r-b")
    )
    assert tree.parents == {"a": "r", "b": "r", "x": "a", "y": "b"}
    assert tree.redundant == (("a", "b"), ("x", "y"))
    assert tree.chain("y") == ("r", "b", "y")


def test_dangling_branches_are_cut() -> None:
    tree = span(drawing("r:root a:relay b:none c:relay x:leaf d:relay", "r-a", "a-b", "b-c", "r-x"))
    assert tree.parents == {"x": "r"}
    assert tree.cut == ("a", "b", "c", "d")


def test_a_node_without_a_role_may_pass_packets_on() -> None:
    assert span(drawing("r:root n:none x:leaf", "r-n", "n-x")).parents == {"n": "r", "x": "n"}


def test_a_root_alone_is_a_tree() -> None:
    assert span(drawing("r:root")) == SpanningTree(root="r", parents={})


def test_all_problems_are_told_at_once_by_name() -> None:
    found = problems_of(
        drawing("a:root b:root c:leaf d:root", "a-c", "c-a", "c-c", "b-z", "y-z", "a-c")
    )
    assert found == [
        "node b: a second root; a is already the root",
        "node d: a second root; a is already the root",
        "link a-c: drawn more than once",
        "link c-c: joins a node to itself",
        "link b-z: unknown node z",
        "link y-z: unknown node y",
        "link y-z: unknown node z",
    ]
    assert problems_of(drawing("a:leaf")) == ["no node is the root"]
    assert problems_of(drawing("a:root b:leaf")) == ["leaf b: no links lead to it from the root a"]


def test_a_lost_link_is_healed_by_redundancy() -> None:
    drawn = drawing("r:root a:relay x:leaf", "r-a", "a-x", "r-x")
    assert span(drawn).parents == {"a": "r", "x": "r"}
    assert span(without(drawn, "x", "r")).parents == {"a": "r", "x": "a"}
