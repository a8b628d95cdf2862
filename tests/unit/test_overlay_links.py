"""Trees over links that die and come back: what is gone around, and when a stream moves back."""

from itertools import pairwise

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.graphs import connected
from umbel.network.model import Pair, pair
from umbel.network.overlay.links import LinkState
from umbel.network.overlay.spanning import Drawing, Role, SpanningTree

ATLAS = connected(3, 6)
OTHERS = [Role.RELAY, Role.LEAF, Role.NONE]


@st.composite
def histories(draw: st.DrawFn) -> list[LinkState]:
    """A drawn network, and how it was after each of its links' deaths and returns."""
    graph = draw(st.sampled_from(ATLAS))
    names = [f"n{node}" for node in graph.nodes]
    roles = {name: draw(st.sampled_from(OTHERS)) for name in names}
    roles["n0"] = Role.ROOT
    links = tuple(draw(st.permutations([(f"n{a}", f"n{b}") for a, b in graph.edges])))
    states = [LinkState(drawing=Drawing(roles=roles, links=links))]
    for flapped in draw(st.lists(st.sets(st.sampled_from(links), max_size=3), max_size=5)):
        states.append(states[-1].after({pair(*link) for link in flapped}))
    states.append(states[-1].after(()))
    return states


def tree(state: LinkState) -> SpanningTree:
    return state.tree("n0", ())


def leaves_of(state: LinkState) -> set[str]:
    return {name for name, role in state.drawing.roles.items() if role is Role.LEAF}


def behind_leaves(state: LinkState) -> set[str]:
    """The nodes that the tree leads to through another leaf."""
    leaves, found = leaves_of(state), tree(state)
    return {name for name in found.nodes if leaves.intersection(found.chain(name)[1:-1])}


def reached_without_leaves(state: LinkState) -> set[str]:
    """The nodes that live links lead to without another leaf in the way."""
    roles = state.drawing.roles
    near: nx.Graph = nx.Graph()
    near.add_nodes_from(roles)
    live: list[Pair] = [link for link in state.drawing.links if pair(*link) not in state.dead]
    core = [link for link in live if all(roles[name] is not Role.LEAF for name in link)]
    near.add_edges_from(core)
    found = set(nx.node_connected_component(near, "n0"))
    return found | {end for link in live for end in link if found.intersection(link)}


@examples(500)
@given(histories())
def test_no_leaf_is_in_the_way_because_a_link_flapped(states: list[LinkState]) -> None:
    for state in states:
        assert not behind_leaves(state) & reached_without_leaves(state) & leaves_of(state)


@examples(500)
@given(histories())
def test_a_link_that_comes_back_moves_nothing_unless_a_leaf_is_in_the_way(
    states: list[LinkState],
) -> None:
    for before, after in pairwise(states):
        is_whole = not before.dead & {pair(*link) for link in tree(before).links}
        if after.dead < before.dead and is_whole and not behind_leaves(before):
            assert tree(after).parents == tree(before).parents


@examples(300)
@given(histories())
def test_dead_links_are_in_the_tree_only_where_nothing_else_leads_on(
    states: list[LinkState],
) -> None:
    for state in states:
        found = tree(state)
        live = nx.Graph(link for link in state.drawing.links if pair(*link) not in state.dead)
        live.add_nodes_from(state.drawing.roles)
        chosen = {pair(*link) for link in found.links} & state.dead
        kept: nx.Graph = nx.Graph(live.edges)
        kept.add_nodes_from(live)
        for a, b in chosen:
            assert not nx.has_path(kept, a, b)


def test_after_a_link_flapped_once_the_way_is_not_through_another_leaf() -> None:
    roles = {"r": Role.ROOT, "a": Role.RELAY, "b": Role.RELAY, "x": Role.LEAF, "y": Role.LEAF}
    links = (("r", "a"), ("r", "x"), ("r", "b"), ("x", "b"), ("b", "y"))
    whole = LinkState(drawing=Drawing(roles=roles, links=links))
    lost = whole.after({("b", "r")})
    assert lost.tree("r", ()).chain("y") == ("r", "x", "b", "y")
    assert lost.after(()).tree("r", ()).chain("y") == ("r", "b", "y")


def test_a_relay_behind_a_leaf_is_no_reason_to_move_back() -> None:
    roles = {"r": Role.ROOT, "a": Role.RELAY, "b": Role.RELAY, "c": Role.LEAF}
    links = (("r", "a"), ("a", "b"), ("b", "c"), ("a", "c"))
    whole = LinkState(drawing=Drawing(roles=roles, links=links))
    assert whole.tree("r", ()).chain("c") == ("r", "a", "b", "c")
    around = whole.after({("a", "b")})
    assert around.tree("r", ()).chain("c") == ("r", "a", "c")
    assert around.after(()).tree("r", ()).chain("c") == ("r", "a", "c")
