"""Where viewers who are expected will be served. Pure.

In: a view, a policy, and expected viewers by access node. Out: the tree that they need, and the
view without the room that they will take. The policy places them as it places viewers who ask, one
edge at a time: who fits there with the first one is placed with it. Whom it would place at a node
that is closed to them is left out: another edge for them would take room just when it is short.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from umbel.delivery.model import Tree
from umbel.delivery.policy import rooms
from umbel.delivery.policy.base import Policy
from umbel.delivery.trees.view import NoCapacity, View

Allowed = Callable[[View, str], View]
"""The view without what viewers at that access node must not get."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """The stream's tree with what expected viewers need, the edges that serve them with how many
    each, their nodes, and the view without their room."""

    tree: Tree
    view: View
    viewers: Mapping[str, int] = field(default_factory=dict)
    nodes: frozenset[str] = frozenset()


def place(
    view: View,
    policy: Policy,
    stream: str,
    missing: Mapping[str, int],
    allowed: Allowed,
    closed: Collection[str] = (),
) -> Placed:
    """Place the missing viewers by access node. Those for whom there is no room are left out, and
    those who would be served at a `closed` node."""
    placed: dict[str, int] = {}
    nodes: set[str] = set()
    for access_node, count in sorted(missing.items()):
        left = count
        while left > 0 and access_node in view.nodes:
            try:
                found = policy.assign(allowed(view, access_node), stream, access_node)
            except NoCapacity:
                break
            if found.node in closed:
                break
            nodes.add(found.node)
            view, taken = rooms.taken(view, stream, found, left)
            placed[found.function] = placed.get(found.function, 0) + taken
            left -= taken
    return Placed(tree=view.trees[stream], view=view, viewers=placed, nodes=frozenset(nodes))
