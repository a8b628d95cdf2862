"""Nodes in memory, for the front end: they come, go and are scheduled; nothing runs on them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from support.delivery import NODES
from umbel.compute.model import HostUsage, Node, NodeKind, NoSuchNode, Scheduling
from umbel.compute.service import NodeExists
from umbel.delivery.model import NodeAvailability, NodeStatus
from umbel.delivery.nodes.rules import InvalidLinks
from umbel.delivery.prepared.model import Prepared, PreparedStatus
from umbel.network.documents import NO_SITE, AddedSite
from umbel.network.model import Link
from umbel.storage.model import StorageStatus

_STATES = {
    Scheduling.OPEN: NodeAvailability.READY,
    Scheduling.CORDONED: NodeAvailability.CORDONED,
    Scheduling.DRAINING: NodeAvailability.DRAINED,
}


class MemoryPrepared:
    """Keeps the promises of `portal.ports.Preparing`: each idle function is ready."""

    def __init__(self, nodes: "MemoryNodes") -> None:
        self._nodes = nodes
        self._wanted: dict[str, Prepared] = {}

    async def list(self) -> Sequence[PreparedStatus]:
        return [
            PreparedStatus(
                wanted=one,
                ready=tuple(f"edge-{one.node}-{number + 1}" for number in range(one.edges)),
            )
            for one in self._wanted.values()
        ]

    async def set(self, wanted: Prepared, *, by: str) -> None:
        await self._nodes.get(wanted.node)
        self._wanted[wanted.node] = wanted


@dataclass
class MemoryStorageFunctions:
    """Keeps the promise of `portal.storage_ports.ListingStorage`."""

    statuses: list[StorageStatus] = field(default_factory=list)

    async def list(self) -> Sequence[StorageStatus]:
        return self.statuses


class MemoryNodes:
    """Keeps the promises of `portal.ports.Nodes` as far as a front end sees."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeStatus] = {}
        self.added: list[Node] = []
        self.sites: list[AddedSite] = []
        self.links: list[Link] = []
        for name, address in NODES.items():
            kind = NodeKind.CORE if name.startswith("c") else NodeKind.PROVIDER_EDGE
            self._nodes[name] = _status(Node(name=name, kind=kind, address=address))

    async def list(self) -> Sequence[NodeStatus]:
        return list(self._nodes.values())

    async def get(self, name: str) -> NodeStatus:
        try:
            return self._nodes[name]
        except KeyError:
            raise NoSuchNode(node=name) from None

    async def add(
        self, node: Node, links: Sequence[Link], site: AddedSite = NO_SITE, *, by: str
    ) -> NodeStatus:
        if node.name in self._nodes:
            raise NodeExists(node=node.name)
        if any(link.b not in self._nodes for link in links):
            raise InvalidLinks(node=node.name)
        self._nodes[node.name] = _status(node)
        self.added.append(node)
        self.sites.append(site)
        self.links += links
        return self._nodes[node.name]

    def measure(self, name: str, host: HostUsage) -> None:
        """The node's machine uses this from now on."""
        self._nodes[name] = replace(self._nodes[name], host=host)

    async def remove(self, name: str, *, by: str) -> None:
        await self.get(name)
        del self._nodes[name]

    async def schedule(
        self, name: str, scheduling: Scheduling, *, by: str, within_s: float | None = None
    ) -> NodeStatus:
        self._nodes[name] = replace(await self.get(name), state=_STATES[scheduling])
        return self._nodes[name]


def _status(node: Node) -> NodeStatus:
    return NodeStatus(
        name=node.name,
        kind=node.kind,
        address=node.address,
        cores=node.cores,
        cores_used=0.0,
        memory_mb=node.memory_mb,
        memory_used_mb=0.0,
        mbps=node.mbps,
        mbps_used=0.0,
    )
