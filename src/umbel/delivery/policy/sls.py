"""The back-end workflow of SLS (figure 6): the viewer's own edge node first, then neighbours, then
a new edge streamer. Forwarders stand on every core node of a path (section 3.2).
"""

from typing import ClassVar

from umbel.delivery.policy import edges
from umbel.delivery.policy.base import Assignment
from umbel.delivery.trees.grafting import Relaying
from umbel.delivery.trees.view import View

NEIGHBOUR_HOPS = 2
"""Two provider edges are neighbours when they share a core node; the paper leaves it open."""


class Sls:
    """Step 1 to 4 of the workflow, in order. Where neither the own node nor a neighbour can serve
    the viewer, each farther distance is asked for what runs before it gets a new edge streamer."""

    name: ClassVar[str] = "sls"
    relaying: ClassVar[Relaying] = Relaying.EVERY_CORE

    def assign(self, view: View, stream: str, access_node: str) -> Assignment:
        view.node(access_node)
        own, neighbours, *farther = self._reaches(view, access_node)
        found = (
            # Steps 1 and 2, then 3: an edge streamer that runs.
            self._running(view, stream, own)
            or self._running(view, stream, neighbours)
            # Step 4: a new one.
            or edges.started(view, stream, own, self.relaying)
            or edges.started(view, stream, neighbours, self.relaying)
        )
        for nodes in farther:
            found = found or edges.served(view, stream, nodes, self.relaying)
        if found is None:
            raise view.refusal(stream, access_node)
        return found

    def _running(self, view: View, stream: str, nodes: list[str]) -> Assignment | None:
        return edges.running(view, stream, view.edges_at(nodes), self.relaying)

    @staticmethod
    def _reaches(view: View, access_node: str) -> list[list[str]]:
        """The own node, the neighbours, and the nodes of each greater distance."""
        by_hops = edges.reaches(view, access_node)
        own = [node for hops, nodes in by_hops for node in nodes if hops == 0]
        neighbours = [n for hops, nodes in by_hops for n in nodes if 0 < hops <= NEIGHBOUR_HOPS]
        return [own, neighbours, *(nodes for hops, nodes in by_hops if hops > NEIGHBOUR_HOPS)]
