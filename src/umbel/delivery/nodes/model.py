"""What was changed of a node since the network file was read."""

from dataclasses import dataclass
from enum import StrEnum

from umbel.compute.model import Inventory, Node, ScheduledNode, Scheduling
from umbel.network.model import Link, Topology


class NodeAction(StrEnum):
    """What an operator did to a node."""

    ADDED = "added"
    REMOVED = "removed"
    CORDONED = "cordoned"
    UNCORDONED = "uncordoned"
    DRAIN_STARTED = "draining"


@dataclass(frozen=True, kw_only=True)
class NodeChange:
    """How a node differs from the network file. `node` with its `links` was added at `added_s`;
    None for a node of the file. A `removed` one is not there, whatever the file says."""

    name: str
    node: Node | None = None
    links: tuple[Link, ...] = ()
    scheduling: Scheduling = Scheduling.OPEN
    evict_at_s: float | None = None
    removed: bool = False
    added_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class NetworkFile:
    """The nodes and links that the network file describes; clients whose address no node has
    enter by `default_access`."""

    inventory: Inventory
    topology: Topology
    default_access: str


@dataclass(frozen=True, kw_only=True)
class CurrentNodes:
    """The nodes and links there are; `ignored` names the changes that do not fit the network file
    any more, and why."""

    members: tuple[ScheduledNode, ...]
    topology: Topology
    ignored: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names of all nodes."""
        return frozenset(one.node.name for one in self.members)
