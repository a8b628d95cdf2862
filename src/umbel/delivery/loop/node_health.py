"""Which nodes delivery avoids for a while.

In: the nodes where functions fail again and again, and those that are away: their VIM does not
answer for them, nor does any function there. Out: until when each is avoided. A node that only its
VIM does not reach is not avoided: its functions serve on.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from umbel.compute.model import (
    Function,
    FunctionState,
    Instance,
    NodeState,
    NoSuchNode,
    Scheduling,
)
from umbel.compute.service import Compute
from umbel.delivery.loop.functions import OWNER

_HOPELESS_AFTER = 3
"""Consecutive failures after which a function's node is avoided."""
_HOPELESS_S = 60.0
_AWAY_AFTER_S = 1.0
_AWAY_S = 5.0


@dataclass
class NodeHealth:
    """`avoided` has the end of each node's time, by the calendar in seconds."""

    avoided: dict[str, float] = field(default_factory=dict)
    _away_since: dict[str, float] = field(default_factory=dict)

    def note(self, hopeless: Collection[str], away: Collection[str], *, now_s: float) -> bool:
        """Take what is seen now. Returns whether a node is avoided that was not before."""
        before = set(self.avoided)
        self._away_since = {node: self._away_since.get(node, now_s) for node in away}
        ends = {node: end_s for node, end_s in self.avoided.items() if end_s > now_s}
        for node, since_s in self._away_since.items():
            if now_s - since_s >= _AWAY_AFTER_S:
                ends[node] = max(ends.get(node, 0.0), now_s + _AWAY_S)
        self.avoided = ends | dict.fromkeys(hopeless, now_s + _HOPELESS_S)
        return bool(self.avoided.keys() - before)


def hopeless(compute: Compute, functions: Iterable[Function]) -> set[str]:
    """The nodes where one of these functions failed again and again."""
    return {f.node for f in functions if compute.failures(OWNER, f.id) >= _HOPELESS_AFTER}


def away(compute: Compute, functions: Iterable[Instance], answering: Collection[str]) -> set[str]:
    """The nodes whose VIM does not answer for them, nor any of these functions there; `answering`
    are those that do."""
    active = [one for one in functions if one.state is FunctionState.ACTIVE]
    heard = {one.node for one in active if one.id in answering}
    silent = {one.node for one in active} - heard
    return {
        node.name for node in compute.nodes() if node.name in silent and compute.is_lost(node.name)
    }


def stays(compute: Compute, node: str) -> bool:
    """Whether what runs on the node may stay: it is there, and neither drained nor at rest."""
    try:
        is_drained = compute.scheduling(node) is Scheduling.DRAINING
        return compute.state(node) is NodeState.ACTIVE and not is_drained
    except NoSuchNode:
        return False
