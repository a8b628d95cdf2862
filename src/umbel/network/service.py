"""The network's only entry for other packages: one service, which has one for each subject.

In: the network's topology, drivers, and which streams slices are for. Out: `Network`. Other
packages import this module, `model` and `documents`; bootstrap also picks drivers. The values and
errors of the subjects are named here, so that callers need not know their modules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.network.edge.gates import Client, Gate, InvalidClient, PortalAddress
from umbel.network.edge.roaming import Binding, MobileFunction
from umbel.network.edge.service import ClientLocation, EdgeService, NotInAccess
from umbel.network.edge.store import EdgeStore
from umbel.network.edge.virtual_services import Proto, Surrogate, VirtualService
from umbel.network.events import Event, PathChanged, Watcher
from umbel.network.events import body as event_body
from umbel.network.events import subject as event_subject
from umbel.network.model import Topology
from umbel.network.operator.explain import ExplainedRule
from umbel.network.operator.functions import InlineFunctionStatus, Location
from umbel.network.operator.guest_moves import GuestMoves
from umbel.network.operator.inspection import (
    DrawnNetwork,
    LinkLiveness,
    LinkStatus,
    LinkUse,
    PathStatus,
    SwitchStatus,
)
from umbel.network.operator.model import InlineFunction
from umbel.network.operator.service import OperatorService
from umbel.network.operator.store import OperatorStore
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import Path, Receiver, ReceiverKind, Stream, StreamIntent
from umbel.network.port_traffic import PortCounters, PortTraffic
from umbel.network.ports import Ethernet, Fabric, ProgrammableFabric
from umbel.network.slices.admission import Grade, Offer, SliceRequest, SliceStream, Terms
from umbel.network.slices.model import Guarantee, LinkShare, SliceStatus
from umbel.network.slices.ports import StreamsOf, StreamSource
from umbel.network.slices.service import Slices, Underlay
from umbel.network.slices.store import SliceStore
from umbel.network.switching.counters import Traffic
from umbel.network.switching.port_map import Side
from umbel.network.switching.ports import Bridges
from umbel.network.switching.signals import SwitchRefused
from umbel.network.switching.tables import PipelineStep
from umbel.network.topology.added_sites import InvalidSite, NoSwitch
from umbel.network.topology.registry import SiteRegistry
from umbel.network.topology.service import TopologyService
from umbel.network.topology.sites import Site

__all__ = [
    "Binding",
    "Client",
    "ClientLocation",
    "Drawing",
    "DrawnNetwork",
    "EdgeService",
    "Event",
    "ExplainedRule",
    "Fabric",
    "Gate",
    "Grade",
    "Guarantee",
    "GuestMoves",
    "InlineFunction",
    "InlineFunctionStatus",
    "InvalidClient",
    "InvalidSite",
    "LinkLiveness",
    "LinkShare",
    "LinkStatus",
    "LinkUse",
    "Location",
    "MobileFunction",
    "Network",
    "NetworkDrivers",
    "NoSwitch",
    "NotInAccess",
    "OperatorService",
    "Path",
    "PathStatus",
    "PipelineStep",
    "PortalAddress",
    "ProgrammableFabric",
    "Proto",
    "Receiver",
    "ReceiverKind",
    "Role",
    "Side",
    "SiteRegistry",
    "SliceRequest",
    "SliceStatus",
    "SliceStream",
    "Slices",
    "Stream",
    "StreamIntent",
    "StreamsOf",
    "Surrogate",
    "SwitchRefused",
    "SwitchStatus",
    "TopologyService",
    "Traffic",
    "Underlay",
    "VirtualService",
    "build",
    "event_body",
    "event_subject",
]


@dataclass(frozen=True, kw_only=True)
class NetworkDrivers:
    """What carries streams. Where Umbel programs the switches, `switches` does that and `underlay`
    holds streams to slices, `bridges` removes the bridges of switches that go; `neighbours` finds
    streams' receivers in access networks. Without `ethernet` clients are known by their IP
    addresses alone."""

    fabric: Fabric
    switches: ProgrammableFabric | None = None
    underlay: Underlay | None = None
    bridges: Bridges | None = None
    ethernet: Ethernet | None = None
    neighbours: Ethernet | None = None


@dataclass(frozen=True, kw_only=True)
class Network:
    """One operator's network: `topology` says who is near whom, `overlay` carries streams over the
    hops of their trees, `slices` reserves rates, `edge` guards the nodes' access networks,
    `operator` draws the overlay and adds paths, `guest_moves` leads to guests that move, and
    `traffic` measures the links. Where the network
    is not programmed, slices, edge and operator refuse requests, and no link is measured."""

    topology: TopologyService
    overlay: Fabric
    slices: Slices
    edge: EdgeService
    operator: OperatorService
    guest_moves: GuestMoves
    traffic: PortTraffic
    switches: ProgrammableFabric | None = None
    bridges: Bridges | None = None

    def watch(self, watch: Watcher) -> None:
        """Call `watch` with every event from now on: none where the network is not programmed."""
        if self.switches is not None:
            self.switches.watch(watch)
            self.operator.functions.watch(watch)

    async def follow_nodes(self, roles: Mapping[str, Role]) -> None:
        """Draw the overlay over the nodes and links there are: those that came are drawn with their
        `roles`, those that went are not. Returns when the connected switches have it, and sites
        that went are forgotten."""
        await self.operator.follow_nodes(roles)
        self.topology.drop_sites()  # only now do streams go around them
        if self.switches is not None:
            await self.switches.change(self.switches.overlay)
        self.edge.wake()

    async def check_switch(self, site: Site) -> None:
        """Raise Unavailable when the switch's database does not answer."""
        if self.bridges is not None:
            await self.bridges.check(site)

    async def remove_switch(self, site: Site) -> None:
        """The bridges of a switch whose site went are gone. Idempotent. Raises Unavailable, or
        Invalid when the switch refuses."""
        if self.bridges is not None:
            await self.bridges.remove(site)

    def flows(self, node: str = "") -> tuple[ExplainedRule, ...]:
        """Every rule that switches hold, or those of one node, in words. Raises NotInTopology."""
        return self.operator.inspection.flows(node, self.edge.snapshot)

    async def close(self) -> None:
        """Stop. Switches and queues keep what they hold."""
        await self.slices.close()


def build(
    *,
    topology: Topology,
    terms: Mapping[Grade, Terms],
    drivers: NetworkDrivers,
    streams: StreamSource,
    database: Database,
    clock: Clock,
) -> Network:
    """A network over these drivers; slices follow their streams' paths."""
    switches = drivers.switches
    nodes = TopologyService(topology, switches.sites if switches is not None else None)
    edge = EdgeService(
        switches, nodes.current, EdgeStore(database), clock, ethernet=drivers.ethernet
    )
    network = Network(
        topology=nodes,
        overlay=drivers.fabric,
        slices=Slices(
            store=SliceStore(database),
            streams=streams,
            offers=lambda: Offer(topology=nodes.current(), terms=terms),
            clock=clock,
            underlay=drivers.underlay,
        ),
        edge=edge,
        guest_moves=GuestMoves(fabric=switches, edge=edge),
        operator=OperatorService(
            nodes.current, OperatorStore(database), clock, switches, drivers.neighbours
        ),
        traffic=PortTraffic(
            fabric=switches if isinstance(switches, PortCounters) else None, clock=clock
        ),
        switches=switches,
        bridges=drivers.bridges,
    )
    network.watch(_on_path_changed(network.slices.wake))
    return network


def _on_path_changed(wake: Callable[[], None]) -> Watcher:
    def watch(event: Event) -> None:
        if isinstance(event, PathChanged):
            wake()

    return watch
