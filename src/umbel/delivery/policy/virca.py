"""ViRCA: the plan in force says where a viewer is served (Algorithm 2 over its budgets).

Without a plan, or where the plan knows no answer, the workflow of SLS decides over what is on.
Nodes that rest take nothing whatever the policy; running viewers are never this module's matter.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from umbel.delivery.guidance import Steering, Units, resolution_of
from umbel.delivery.policy import edges
from umbel.delivery.policy.base import Assignment
from umbel.delivery.policy.sls import Sls
from umbel.delivery.trees import renditions
from umbel.delivery.trees.grafting import Relaying
from umbel.delivery.trees.view import EDGE, View
from umbel.planner import admission
from umbel.planner.admission import Ask, Ledger, Path, Reason, Rejected


class Virca:
    """Budgets first, then the nearest node that is on."""

    name: ClassVar[str] = "virca"
    relaying: ClassVar[Relaying] = Relaying.EVERY_CORE

    def __init__(self) -> None:
        self._sls = Sls()

    def assign(self, view: View, stream: str, access_node: str) -> Assignment:
        view.node(access_node)
        if view.steering is None:
            return self._sls.assign(view, stream, access_node)
        found = self._planned(view, view.steering, stream, access_node)
        if not isinstance(found, Reason):
            return found
        nearest = self._nearest(view, stream, access_node)
        if nearest is None:
            # A vCPU of the plan stands for CPU and rate: the view knows which of them is short.
            raise view.refusal(stream, access_node, None if found is Reason.CPU else found)
        return nearest

    def _planned(
        self, view: View, steering: Steering, stream: str, access_node: str
    ) -> Assignment | Reason:
        """The first of Algorithm 2's choices that a tree can be grown to; else why there is
        none."""
        ask = _ask(steering, stream, access_node)
        ledger = ledger_of(view, steering)
        room = _ViewRoom(view=view, units=steering.units)
        while not isinstance(got := admission.decide(ask, steering.guide, ledger, room), Rejected):
            found = edges.served(view, stream, [got.source], self.relaying)
            if found is not None:
                return found
            room.tried.add(got.source)
        return Reason.UNREACHABLE if room.tried else got.reason

    def _nearest(self, view: View, stream: str, access_node: str) -> Assignment | None:
        for _, nodes in edges.reaches(view, access_node):
            found = edges.served(view, stream, nodes, self.relaying)
            if found is not None:
                return found
        return None


def ledger_of(view: View, steering: Steering) -> Ledger:
    """The viewers there are, counted against the plan's budgets."""
    ledger = Ledger()
    for (stream, access_node, node), count in view.watching.items():
        ask = _ask(steering, stream, access_node)
        mbps = steering.guide.encoding(ask).max_mbps * count
        lanes = [lane for lane in steering.guide.ends.get(access_node, ()) if lane.path[0] == node]
        for lane in lanes:
            ledger.add(ask, lane.path, mbps / len(lanes))
    return ledger


def _ask(steering: Steering, stream: str, access_node: str) -> Ask:
    known = stream in steering.resolution
    return Ask(
        end=access_node,
        content=stream if known else "",
        resolution=steering.resolution.get(stream) or resolution_of(renditions.height_of(stream)),
    )


@dataclass(kw_only=True)
class _ViewRoom:
    """What is free, as the view says. Paths of viewers are not known; their edge's rate is."""

    view: View
    units: Units
    tried: set[str] = field(default_factory=set)

    def free_mbps(self, path: Path) -> float:
        return self.view.nodes[path[0]].mbps_free

    def free_vcpus(self, node: str) -> float:
        room = self.view.nodes[node]
        if node in self.tried or room.is_closed or not room.is_access:
            return 0.0
        runs = any(f.node == node and f.role == EDGE for f in self.view.functions.values())
        usable = runs or self.view.fits_function(node)
        return self.units.room(room.cores_free, room.mbps_free) if usable else 0.0
