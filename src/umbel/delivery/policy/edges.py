"""The three ways to serve a viewer, which every policy tries in its own order. Pure.

In: edges that run, or nodes, in the order in which the policy prefers them. Out: the first that has
room. `served` tries all three within one reach, so that no function starts while one that runs
there can take the viewer.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from umbel.delivery.policy.base import Assignment
from umbel.delivery.trees.grafting import Relaying, graft, leaf
from umbel.delivery.trees.view import EDGE, FunctionView, NoCapacity, View

Rank = Callable[[FunctionView], tuple[float, str]]


def carrying(view: View, stream: str, edges: Iterable[FunctionView]) -> Assignment | None:
    """By an edge that has the stream already."""
    tree = view.trees[stream]
    for edge in edges:
        if tree.branch(edge.id) is not None and view.fits_viewer(edge, stream):
            return Assignment(function=edge.id, node=edge.node, tree=tree)
    return None


def connected(
    view: View, stream: str, edges: Iterable[FunctionView], relaying: Relaying
) -> Assignment | None:
    """By an edge that runs, once the stream is sent to it."""
    tree = view.trees[stream]
    for edge in edges:
        if tree.branch(edge.id) is None and view.fits_stream(edge, stream):
            found = _grafted(view, stream, edge.id, edge.node, relaying)
            if found is not None:
                return found
    return None


def started(view: View, stream: str, nodes: Iterable[str], relaying: Relaying) -> Assignment | None:
    """By a new edge."""
    for node in nodes:
        if view.fits_edge(node, stream):
            found = _grafted(view, stream, view.fresh_id(EDGE, node), node, relaying)
            if found is not None:
                return found
    return None


def running(
    view: View, stream: str, edges: Sequence[FunctionView], relaying: Relaying
) -> Assignment | None:
    """By an edge that runs: one that has the stream, else one that can get it."""
    return carrying(view, stream, edges) or connected(view, stream, edges, relaying)


def served(
    view: View, stream: str, nodes: Sequence[str], relaying: Relaying, rank: Rank | None = None
) -> Assignment | None:
    """By one of the nodes: by an edge that runs, else by a new one. Edges are tried in the order
    of `rank`, else in that of their nodes."""
    edges = view.edges_at(nodes)
    if rank is not None:
        edges.sort(key=rank)
    return running(view, stream, edges, relaying) or started(view, stream, nodes, relaying)


def reaches(view: View, access_node: str) -> list[tuple[int, list[str]]]:
    """The access nodes by their hops from the viewer's, nearest first: hops and nodes. The
    viewer's own comes first, by itself."""
    ways = view.routes.nearest(access_node)
    by_hops = sorted([(0, access_node), *((way.hops, way.target) for way in ways)], key=_hops)
    found = (
        (hops, [node for _, node in some if view.nodes[node].is_access])
        for hops, some in groupby(by_hops, key=_hops)
    )
    return [(hops, nodes) for hops, nodes in found if nodes]


def _hops(at: tuple[int, str]) -> int:
    return at[0]


def _grafted(
    view: View, stream: str, edge: str, node: str, relaying: Relaying
) -> Assignment | None:
    try:
        tree = graft(view, view.trees[stream], leaf(edge, node), relaying)
    except NoCapacity:
        return None
    return Assignment(function=edge, node=node, tree=tree)
