"""Consolidation (SLS section 2): the fewest nodes and functions that carry the streams.

Existing edges anywhere are filled before a new one starts, the fullest first; a new one goes to a
node that already runs something. No forwarders while the links can carry one copy per edge.
"""

from typing import ClassVar

from umbel.delivery.policy import edges
from umbel.delivery.policy.base import Assignment
from umbel.delivery.trees.grafting import Relaying
from umbel.delivery.trees.view import View


class Consolidation:
    """Bin packing, best fit first."""

    name: ClassVar[str] = "consolidation"
    relaying: ClassVar[Relaying] = Relaying.NONE

    def assign(self, view: View, stream: str, access_node: str) -> Assignment:
        view.node(access_node)
        nodes = [node for _, some in edges.reaches(view, access_node) for node in some]
        # Sorting keeps the order of equals: of equally full edges the nearest comes first.
        running = sorted(view.edges_at(nodes), key=lambda edge: -edge.load)
        busy = {function.node for function in view.functions.values()}
        found = edges.running(view, stream, running, self.relaying) or edges.started(
            view, stream, sorted(nodes, key=lambda node: node not in busy), self.relaying
        )
        if found is None:
            raise view.refusal(stream, access_node)
        return found
