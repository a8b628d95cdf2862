"""Paths: bounded, simple, over lightpaths that exist, between those who may speak."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given

from support import planning
from support.examples import examples
from umbel.planner import paths, presets, topologies
from umbel.planner.checks import BadProblem
from umbel.planner.paths import TooManyPaths
from umbel.planner.problem import Access, Problem, Routing


def named(network_paths: paths.Routes) -> set[tuple[str, ...]]:
    return {tuple(network_paths.names[n] for n in path) for path in network_paths.paths}


def test_the_fmc_tree_has_the_papers_nodes() -> None:
    network = topologies.fmc_tree()
    levels = [node.level for node in network.nodes]
    assert [levels.count(level) for level in range(4)] == [1, 2, 4, 15]
    access = [node.access for node in network.nodes]
    assert (access.count(Access.FIXED), access.count(Access.MOBILE)) == (5, 10)


def test_the_fmc_tree_has_a_known_number_of_paths() -> None:
    routes = paths.find_routes(topologies.fmc_tree(), presets.FMC_ROUTING)
    assert (len(routes.paths), len(routes.lightpaths)) == (724, 157)


def test_the_backhaul_has_its_nodes_and_two_ways() -> None:
    network = topologies.mobile_backhaul()
    assert len(network.nodes) == 21
    for gone in [link for link in network.links if "sgw" in link.a or "pgw" in link.a]:
        left = replace(network, links=tuple(link for link in network.links if link is not gone))
        assert paths.find_routes(left, presets.BACKHAUL_ROUTING).paths, gone


def test_base_bands_move_no_further_than_their_reach() -> None:
    network = topologies.fmc_tree()
    for reach, hosts in ((0, 1), (1, 2), (2, 3), (3, 5)):
        routes = paths.find_routes(network, Routing(cpri_reach_hops=reach))
        assert {len(found) for found in routes.hosts.values()} == {hosts}


def test_a_path_stops_where_it_touches_a_router() -> None:
    found = named(paths.find_routes(planning.small_network(), Routing()))
    assert ("pop", "home") in found  # bypasses the aggregation node
    assert ("pop", "agg", "home") in found
    plain = named(paths.find_routes(planning.small_network(), Routing(bypass=False)))
    assert ("pop", "home") not in plain
    assert ("pop", "agg", "home") in plain


def test_ends_serve_others_only_where_allowed() -> None:
    closed = paths.find_routes(planning.small_network(), Routing())
    names = closed.names
    home, cell = names.index("home"), names.index("cell-1")
    assert cell not in closed.sources[home]
    opened = paths.find_routes(planning.small_network(), Routing(ends_serve_others=True))
    assert cell in opened.sources[home]
    assert ("cell-1", "home") in named(opened)


def test_who_serves_is_within_reach_or_the_pop() -> None:
    network = topologies.fmc_tree()
    every = {node.name: number for number, node in enumerate(network.nodes)}
    near = paths.find_routes(network, Routing(serve_reach_hops=1))
    assert near.sources[every["fixed-1"]] == (0, every["l2-1"], every["fixed-1"])
    nobody = paths.find_routes(network, Routing(serve_reach_hops=0))
    assert nobody.sources[every["fixed-1"]] == (0, every["fixed-1"])
    assert len(near.paths) < 724


def test_too_many_paths_is_told() -> None:
    with pytest.raises(TooManyPaths) as caught:
        paths.find_routes(topologies.fmc_tree(), Routing(most_paths=723))
    assert caught.value.details == {"most_paths": 723}
    assert paths.find_routes(topologies.fmc_tree(), Routing(most_paths=724)).paths


def test_a_faulty_network_is_refused() -> None:
    with pytest.raises(BadProblem):
        paths.find_routes(replace(planning.small_network(), pop="nowhere"), Routing())


def test_without_a_list_there_are_lightpaths_alone() -> None:
    listed = paths.find_routes(planning.small_network(), Routing())
    bare = paths.find_routes(planning.small_network(), Routing(), list_paths=False)
    assert bare.paths == ()
    assert bare.lightpaths == listed.lightpaths


@given(problem=planning.problems())
@examples(60)
def test_paths_are_simple_bounded_and_of_lightpaths(problem: Problem) -> None:
    routes = paths.find_routes(problem.network, problem.routing)
    pairs = set(routes.pairs())
    lightpaths = {(i, j) for i, j, _size in routes.lightpaths}
    assert len(set(routes.paths)) == len(routes.paths)
    for path in routes.paths:
        assert len(set(path)) == len(path)
        assert (path[0], path[-1]) in pairs
        assert set(pairwise(path)) <= lightpaths
        if problem.routing.bypass or not problem.routing.follow_fibre:
            assert len(path) - 1 <= problem.routing.lightpaths_per_path
    fibres = {frozenset((link.a, link.b)) for link in problem.network.links}
    for i, j in lightpaths if not problem.routing.bypass else ():
        cpri = j in routes.hosts and i in routes.hosts[j]
        assert cpri or frozenset((routes.names[i], routes.names[j])) in fibres


@given(problem=planning.problems())
@examples(40)
def test_chains_of_lightpaths_include_the_cuts_of_fibre(problem: Problem) -> None:
    routing = replace(problem.routing, bypass=True)
    cuts = paths.find_routes(problem.network, replace(routing, follow_fibre=True))
    chains = paths.find_routes(problem.network, replace(routing, follow_fibre=False))
    assert set(cuts.paths) <= set(chains.paths)
