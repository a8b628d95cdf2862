"""Every small graph, from networkx's atlas. It takes time to read, so it is read once."""

from functools import cache

import networkx as nx


@cache
def _atlas() -> list[nx.Graph]:
    return nx.graph_atlas_g()


def graphs(least: int, most: int) -> list[nx.Graph]:
    """All with so many nodes, also those in several parts."""
    return [graph for graph in _atlas() if least <= len(graph) <= most]


def connected(least: int, most: int) -> list[nx.Graph]:
    """All with so many nodes, in one part."""
    return [graph for graph in graphs(least, most) if nx.is_connected(graph)]
