"""Consolidation (SLS section 2): the fewest nodes and functions that carry the streams.

Existing edges anywhere are filled before a new one starts, the fullest first; a new one goes to a
node that already runs something. No forwarders while the links can carry one copy per edge.
"""

from typing import ClassVar

from umbel.delivery.policy.base import Assignment
from umbel.delivery.trees.grafting import Relaying, graft, leaf
from umbel.delivery.trees.view import EDGE, FunctionView, NoCapacity, View


class Consolidation:
    """Bin packing, best fit first."""

    name: ClassVar[str] = "consolidation"
    relaying: ClassVar[Relaying] = Relaying.NONE

    def assign(self, view: View, stream: str, access_node: str) -> Assignment:
        view.node(access_node)
        hops = {access_node: 0}
        hops.update((way.target, way.hops) for way in view.routes.nearest(access_node))
        for edge, node in [*_running(view, stream, hops), *_startable(view, hops)]:
            found = self._try(view, stream, edge, node)
            if found is not None:
                return found
        raise view.refusal(stream, access_node)

    def _try(self, view: View, stream: str, edge: str, node: str) -> Assignment | None:
        tree = view.trees[stream]
        if tree.branch(edge) is not None:
            fits = view.fits_viewer(node, stream)
            return Assignment(function=edge, node=node, tree=tree) if fits else None
        if not view.fits_stream(node, stream):
            return None
        try:
            tree = graft(view, tree, leaf(edge, node), self.relaying)
        except NoCapacity:
            return None
        return Assignment(function=edge, node=node, tree=tree)


def _running(view: View, stream: str, hops: dict[str, int]) -> list[tuple[str, str]]:
    """Edges that run: those with the stream first, then the fullest, then the nearest."""

    def rank(edge: FunctionView) -> tuple[bool, float, int, str]:
        return (stream not in edge.streams, -edge.load, hops[edge.node], edge.id)

    edges = (f for f in view.functions.values() if f.role == EDGE and f.usable and f.node in hops)
    return [(f.id, f.node) for f in sorted(edges, key=rank)]


def _startable(view: View, hops: dict[str, int]) -> list[tuple[str, str]]:
    """Nodes for a new edge: those that run something first, then the nearest."""
    busy = {f.node for f in view.functions.values()}
    nodes = [n for n in hops if view.nodes[n].is_access and view.fits_function(n)]
    nodes.sort(key=lambda n: (n not in busy, hops[n], n))
    return [(view.fresh_id(EDGE, n), n) for n in nodes]
