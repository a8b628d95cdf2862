"""QoS (SLS section 2): the fewest hops between viewer and edge, and the least loaded functions.

The viewer's own node comes first whether or not an edge runs there yet; among the edges of one
distance the least loaded is taken. The acquirer feeds edges directly while the links can carry it.
"""

from typing import ClassVar

from umbel.delivery.policy import edges
from umbel.delivery.policy.base import Assignment
from umbel.delivery.trees.grafting import Relaying
from umbel.delivery.trees.view import FunctionView, View


class Qos:
    """Nearest node first, least loaded function first."""

    name: ClassVar[str] = "qos"
    relaying: ClassVar[Relaying] = Relaying.NONE

    def assign(self, view: View, stream: str, access_node: str) -> Assignment:
        view.node(access_node)
        for _, nodes in edges.reaches(view, access_node):
            found = edges.served(view, stream, nodes, self.relaying, _least_loaded)
            if found is not None:
                return found
        raise view.refusal(stream, access_node)


def _least_loaded(edge: FunctionView) -> tuple[float, str]:
    return (edge.load, edge.id)
