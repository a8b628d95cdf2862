"""The nodes there are now: they come, go, and are cordoned and drained while the platform runs.

In: the network file's nodes, and an operator's changes. Out: nodes, their scheduling, and where
clients enter. Neighbour: service.py, which knows what runs on them.
"""

from umbel.compute.access import AccessMap
from umbel.compute.inventory import clashes
from umbel.compute.model import Inventory, Node, NoSuchNode, Scheduling
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
        self._nodes = {node.name: node for node in inventory.nodes}
        self._scheduling: dict[str, Scheduling] = {}
        self._access = AccessMap(inventory.nodes, inventory.default_access)

    def all(self) -> list[Node]:
        """Every node."""
        return list(self._nodes.values())

    def get(self, name: str) -> Node:
        """One node. Raises NoSuchNode."""
        try:
            return self._nodes[name]
        except KeyError:
            raise NoSuchNode(f"There is no node {name}", node=name) from None

    def at(self, client: str) -> Node | None:
        """The node by which a client's IP address enters; None where there is no default."""
        name = self._access.node_of(client)
        return None if name is None else self._nodes[name]

    def check_new(self, node: Node) -> None:
        """Raise NodeExists if another node has something of it."""
        if problems := clashes(node, self.all()):
            raise NodeExists(node=node.name, problems=problems)

    def add(self, node: Node) -> None:
        """A node comes. Raises NodeExists."""
        self.check_new(node)
        self._nodes[node.name] = node
        self._read_access()

    def remove(self, name: str) -> None:
        """A node goes. Raises NoSuchNode, NodeInUse for the default access node."""
        if self.get(name).name == self._default_access:
            raise NodeInUse(f"{name} is the default access node", node=name)
        del self._nodes[name]
        self._scheduling.pop(name, None)
        self._read_access()

    def schedule(self, name: str, scheduling: Scheduling) -> None:
        """Open, cordon or drain the node. Raises NoSuchNode."""
        self._scheduling[self.get(name).name] = scheduling

    def scheduling(self, name: str) -> Scheduling:
        """Whether functions may be placed there. Raises NoSuchNode."""
        return self._scheduling.get(self.get(name).name, Scheduling.OPEN)

    def _read_access(self) -> None:
        self._access = AccessMap(self._nodes.values(), self._default_access)
