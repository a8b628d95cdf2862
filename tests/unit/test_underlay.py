"""Routes over the links between nodes' access networks."""

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.graphs import graphs
from support.switchboard import sites
from umbel.network.model import pair
from umbel.network.topology import underlay
from umbel.network.topology.sites import Site, cable_bridge

ATLAS = graphs(2, 6)


def cabled(site: Site) -> Site:
    fields = {**site.__dict__, "cables": {near: f"to-{near}" for near in site.underlay}}
    return Site(**fields)


@examples(200)
@given(st.sampled_from(ATLAS), st.data())
def test_packets_take_the_fewest_live_links(graph: nx.Graph, data: st.DataObject) -> None:
    names = [f"n{node}" for node in graph.nodes]
    links = [(f"n{a}", f"n{b}") for a, b in graph.edges]
    made = {name: cabled(site) for name, site in sites(names, links).items()}
    dead = data.draw(st.sets(st.sampled_from(links))) if links else set()
    found = underlay.routes(made, {pair(*link) for link in dead})
    live: nx.Graph = nx.Graph(link for link in links if link not in dead)
    live.add_nodes_from(names)
    by_device = {name: {cable_bridge(near): near for near in made[name].cables} for name in names}
    for name in names:
        to = {route.to: route for route in found[name]}
        for other in names:
            network = made[other].gateway.replace(".1/24", ".0/24")
            address = made[other].ovsdb.split(":")[1]
            if name == other or not nx.has_path(live, name, other):
                assert network not in to
                continue
            near = by_device[name][to[network].device]
            assert to[network].via == to[address].via == made[near].underlay[name]
            left = nx.shortest_path_length(live, near, other)
            assert left == nx.shortest_path_length(live, name, other) - 1
