"""Paths against networkx as the second opinion, on arbitrary small networks."""

from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from umbel.network.model import Link, Topology
from umbel.network.topology import paths
from umbel.network.topology.paths import NoPath, NotInTopology

NODES = tuple("abcdefg")


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    possible = [(a, b) for a in NODES for b in NODES if a < b]
    pairs = draw(st.lists(st.sampled_from(possible), unique=True, max_size=len(possible)))
    # Whole milliseconds: sums are exact, so the second opinion can be compared by ==.
    links = [Link(a=a, b=b, delay_ms=draw(st.integers(0, 5))) for a, b in pairs]
    return Topology(nodes=NODES, links=tuple(links))


def graph(topology: Topology) -> "nx.Graph[str]":
    made: nx.Graph[str] = nx.Graph()
    made.add_nodes_from(topology.nodes)
    for link in topology.links:
        made.add_edge(link.a, link.b, delay_ms=link.delay_ms)
    return made


@given(topologies(), st.sampled_from(NODES))
def test_hops_and_delay_are_the_least(topology: Topology, source: str) -> None:
    found = paths.routes(topology, source)
    second = graph(topology)
    assert {t: way.hops for t, way in found.items()} == nx.single_source_shortest_path_length(
        second, source
    )
    for target, way in found.items():
        candidates = nx.all_shortest_paths(second, source, target)
        delays = [nx.path_weight(second, nodes, "delay_ms") for nodes in candidates]
        assert way.delay_ms == min(delays)


@given(topologies(), st.sampled_from(NODES))
def test_a_way_runs_over_its_links(topology: Topology, source: str) -> None:
    for target, way in paths.routes(topology, source).items():
        assert (way.nodes[0], way.nodes[-1], way.target) == (source, target, target)
        assert len(set(way.nodes)) == len(way.nodes)
        links = paths.links_of(topology, way.nodes)
        assert len(links) == way.hops
        assert sum(link.delay_ms for link in links) == way.delay_ms
        for link, pair in zip(links, pairwise(way.nodes), strict=True):
            assert {link.a, link.b} == set(pair)


@given(topologies(), st.sampled_from(NODES))
def test_the_nearest_come_first_and_the_source_before_them(topology: Topology, source: str) -> None:
    found = list(paths.routes(topology, source).values())
    keys = [(way.hops, way.delay_ms, way.nodes) for way in found]
    assert keys == sorted(keys)
    assert found[0].nodes == (source,)


@given(topologies(), st.sampled_from(NODES))
def test_the_order_of_the_file_does_not_matter(topology: Topology, source: str) -> None:
    backwards = tuple(
        Link(a=link.b, b=link.a, delay_ms=link.delay_ms) for link in reversed(topology.links)
    )
    turned = Topology(nodes=topology.nodes[::-1], links=backwards)
    assert paths.routes(turned, source) == paths.routes(topology, source)


@given(topologies(), st.sampled_from(NODES), st.sampled_from(NODES), st.data())
def test_losing_a_link_never_shortens_a_way(
    topology: Topology, a: str, b: str, data: st.DataObject
) -> None:
    assume(topology.links)
    lost = data.draw(st.sampled_from(topology.links))
    after = paths.routes(paths.without(topology, lost.b, lost.a), a).get(b)
    before = paths.routes(topology, a).get(b)
    if after is not None:
        assert before is not None
        assert (before.hops, before.delay_ms) <= (after.hops, after.delay_ms)
        assert lost not in paths.links_of(topology, after.nodes)


def test_what_is_not_there_is_named() -> None:
    pair = Topology(nodes=("a", "b", "c"), links=(Link(a="a", b="b"),))
    with pytest.raises(NotInTopology, match="no node z"):
        paths.shortest(pair, "z", "a")
    with pytest.raises(NotInTopology, match="no node z"):
        paths.shortest(pair, "a", "z")
    with pytest.raises(NoPath, match="leads to c"):
        paths.shortest(pair, "a", "c")
    with pytest.raises(NotInTopology, match="joins b and c"):
        paths.links_of(pair, ("a", "b", "c"))
    assert paths.shortest(pair, "a", "a").hops == 0
    assert paths.links_of(pair, ("a",)) == ()
