"""QoS (SLS section 2): the fewest hops between viewer and edge, and the least loaded functions.

The viewer's own node comes first whether or not an edge runs there yet; among a node's edges the
least loaded is taken. The acquirer feeds edges directly while the links can carry it.
"""

from typing import ClassVar

from umbel.delivery.policy.base import Assignment
from umbel.delivery.trees.grafting import Relaying, graft, leaf
from umbel.delivery.trees.view import EDGE, NoCapacity, View


class Qos:
    """Nearest node first, least loaded function first."""

    name: ClassVar[str] = "qos"
    relaying: ClassVar[Relaying] = Relaying.NONE

    def assign(self, view: View, stream: str, access_node: str) -> Assignment:
        view.node(access_node)
        for node in (access_node, *(way.target for way in view.routes.nearest(access_node))):
            if not view.nodes[node].is_access:
                continue
            found = self._assign_at(view, stream, node)
            if found is not None:
                return found
        raise view.refusal(stream, access_node)

    def _assign_at(self, view: View, stream: str, node: str) -> Assignment | None:
        tree = view.trees[stream]
        edges = sorted(view.edges_at(node), key=lambda f: (stream not in f.streams, f.load, f.id))
        if edges and tree.branch(edges[0].id) is not None and view.fits_viewer(node, stream):
            return Assignment(function=edges[0].id, node=node, tree=tree)
        if not view.fits_stream(node, stream) or not (edges or view.fits_function(node)):
            return None
        edge = edges[0].id if edges else view.fresh_id(EDGE, node)
        try:
            return Assignment(
                function=edge, node=node, tree=graft(view, tree, leaf(edge, node), self.relaying)
            )
        except NoCapacity:
            return None
