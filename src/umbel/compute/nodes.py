"""The nodes there are now: they come, go, and are cordoned and drained while the platform runs.

In: the nodes with their scheduling, again at each change. Out: each of them, and where clients
enter. Neighbour: service.py, which knows what runs on them.
"""

from collections.abc import Iterable

from umbel.compute.access import AccessMap
from umbel.compute.model import Inventory, Node, NoSuchNode, ScheduledNode, Scheduling
from umbel.kit.errors import Conflict


class NodeExists(Conflict):
    """A node has this name, address or client network already; `details.problems` lists them."""

    code = "umbel.node_exists"


class NodeInUse(Conflict):
    """Functions run on the node or are wanted there, or clients enter by it as the default node.
    Drain it first, and remove it once it is empty."""

    code = "umbel.node_in_use"


class NodeCordoned(Conflict):
    """The node is cordoned: nothing new is placed there. Choose another node, or uncordon it."""

    code = "umbel.node_cordoned"


class Nodes:
    """The nodes by name, in the order in which they came."""

    def __init__(self, inventory: Inventory) -> None:
        self._default_access = inventory.default_access
        self.set(ScheduledNode(node=node) for node in inventory.nodes)

    def set(self, members: Iterable[ScheduledNode]) -> None:
        """There are exactly these nodes from now on."""
        self._members = {one.node.name: one for one in members}
        self._access = AccessMap(self.all(), self._default_access)

    def all(self) -> list[Node]:
        """Every node."""
        return [one.node for one in self._members.values()]

    def get(self, name: str) -> Node:
        """One node. Raises NoSuchNode."""
        return self.member(name).node

    def member(self, name: str) -> ScheduledNode:
        """One node with its scheduling. Raises NoSuchNode."""
        try:
            return self._members[name]
        except KeyError:
            raise NoSuchNode(f"There is no node {name}", node=name) from None

    def at(self, client: str) -> Node | None:
        """The node by which a client's IP address enters; None where there is no default."""
        name = self._access.node_of(client)
        return None if name is None else self.get(name)

    def past_deadline(self, now_s: float) -> frozenset[str]:
        """The draining nodes whose deadline has passed."""
        return frozenset(name for name, one in self._members.items() if _is_due(one, now_s))


def _is_due(one: ScheduledNode, now_s: float) -> bool:
    is_draining = one.scheduling is Scheduling.DRAINING
    return is_draining and one.evict_at_s is not None and now_s >= one.evict_at_s
