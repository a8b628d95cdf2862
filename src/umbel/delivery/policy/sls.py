"""The back-end workflow of SLS (figure 6): the viewer's own edge node first, then neighbours, then
a new edge streamer. Forwarders stand on every core node of a path (section 3.2).
"""

from collections.abc import Iterator
from typing import ClassVar

from umbel.delivery.policy.base import Assignment
from umbel.delivery.trees.grafting import Relaying, graft, leaf
from umbel.delivery.trees.view import NoCapacity, View

NEIGHBOUR_HOPS = 2
"""Two provider edges are neighbours when they share a core node; the paper leaves it open."""


class Sls:
    """Step 1 to 4 of the workflow, in order."""

    name: ClassVar[str] = "sls"
    relaying: ClassVar[Relaying] = Relaying.EVERY_CORE

    def assign(self, view: View, stream: str, access_node: str) -> Assignment:
        view.node(access_node)
        for node in (access_node, *_access_nodes(view, access_node, NEIGHBOUR_HOPS)):
            found = self.running(view, stream, node)
            if found is not None:
                return found
        for node in (access_node, *_access_nodes(view, access_node, None)):
            found = self.created(view, stream, node)
            if found is not None:
                return found
        raise view.refusal(stream, access_node)

    def running(self, view: View, stream: str, node: str) -> Assignment | None:
        """Steps 1 and 2 on one node."""
        return self._carrying(view, stream, node) or self._lacking(view, stream, node)

    def _carrying(self, view: View, stream: str, node: str) -> Assignment | None:
        """Step 1: an edge streamer on that node already has the stream."""
        if not view.fits_viewer(node, stream):
            return None
        tree = view.trees[stream]
        for edge in view.edges_at(node):
            if tree.branch(edge.id) is not None:
                return Assignment(function=edge.id, node=node, tree=tree)
        return None

    def _lacking(self, view: View, stream: str, node: str) -> Assignment | None:
        """Step 2: one there lacks the stream but has CPU and bandwidth left."""
        edges = view.edges_at(node)
        if not edges or not view.fits_stream(node, stream):
            return None
        return self._connected(view, stream, edges[0].id, node)

    def created(self, view: View, stream: str, node: str) -> Assignment | None:
        """Step 4: a new edge streamer."""
        if not (view.fits_function(node) and view.fits_stream(node, stream)):
            return None
        return self._connected(view, stream, view.fresh_id("edge", node), node)

    def _connected(self, view: View, stream: str, edge: str, node: str) -> Assignment | None:
        try:
            tree = graft(view, view.trees[stream], leaf(edge, node), self.relaying)
        except NoCapacity:
            return None
        return Assignment(function=edge, node=node, tree=tree)


def _access_nodes(view: View, start: str, within: int | None) -> Iterator[str]:
    for way in view.routes.nearest(start):
        if view.nodes[way.target].is_access and (within is None or way.hops <= within):
            yield way.target
