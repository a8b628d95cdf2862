"""What was changed of a node since the network file was read."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from umbel.compute.model import Inventory, Node, ScheduledNode, Scheduling
from umbel.network.documents import NO_SITE, AddedSite, Site
from umbel.network.model import Link, Topology


class NodeAction(StrEnum):
    """What an operator did to a node."""

    ADDED = "added"
    REMOVED = "removed"
    CORDONED = "cordoned"
    UNCORDONED = "uncordoned"
    DRAIN_STARTED = "draining"
    SWITCH_REMOVED = "switch-removed"


@dataclass(frozen=True, kw_only=True)
class NodeChange:
    """How a node differs from the network file. `node` with its `links` was added at `added_s`;
    None for a node of the file. A `removed` one is not there, whatever the file says. `site` came
    with it; a switch that came is kept after the removal until its bridges are removed."""

    name: str
    node: Node | None = None
    links: tuple[Link, ...] = ()
    site: AddedSite = NO_SITE
    scheduling: Scheduling = Scheduling.OPEN
    evict_at_s: float | None = None
    removed: bool = False
    added_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class NetworkFile:
    """The nodes, links and switches that the network file describes (`sites`; None: switches do
    not carry the streams); clients whose address no node has enter by `default_access`."""

    inventory: Inventory
    topology: Topology
    default_access: str
    sites: Mapping[str, Site] | None = None
    in_namespaces: bool = False


@dataclass(frozen=True, kw_only=True)
class CurrentNodes:
    """The nodes and links there are, and their switches; `retired` are the switches whose bridges
    are still to be removed. `ignored` names the changes that do not fit the network file any more,
    and why."""

    members: tuple[ScheduledNode, ...]
    topology: Topology
    sites: Mapping[str, Site] | None = None
    retired: tuple[Site, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names of all nodes."""
        return frozenset(one.node.name for one in self.members)
