"""The operator's switches, as a network file's `sites` describe them: all that drives them, wired.

In: a network document and settings. Out: the fabric over the switches, what holds slices, and where
functions run. Neighbours: bootstrap puts them into the platform; the testbed writes such files.
"""

from dataclasses import dataclass
from functools import partial

from umbel.compute.model import Node, NodeKind
from umbel.kit import netns
from umbel.kit.clock import Clock
from umbel.kit.config import Settings
from umbel.kit.errors import Conflict
from umbel.network.documents import TunnelKind, TunnelSettings, parse_sites, parse_topology
from umbel.network.drivers.linux.hosts import NetnsHost
from umbel.network.drivers.linux.tc import TcQueues
from umbel.network.drivers.linux.wireguard import CrossedBridges
from umbel.network.drivers.openflow.controller import Controller
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.settings import OpenFlowSettings
from umbel.network.drivers.ovsdb.bridges import OvsdbBridges
from umbel.network.model import Topology
from umbel.network.service import Drawing, NetworkDrivers, Role, SiteRegistry, Underlay


class ControllerAddressTaken(Conflict):
    """Switches cannot reach the platform: its OpenFlow address is in use or does not belong to this
    machine."""

    code = "umbel.controller_address_taken"


class NoTestbed(Conflict):
    """The network file belongs to a testbed that does not run. Run `umbel testbed up`."""

    code = "umbel.testbed_not_up"


@dataclass(frozen=True, kw_only=True)
class Switched:
    """What drives the switches. `namespaces` is the testbed in whose namespaces functions run, or
    empty; `network` has no underlay where nothing here reaches the nodes' devices, which hold
    slices' queues."""

    fabric: OpenFlowFabric
    bridges: OvsdbBridges
    crossed: CrossedBridges
    network: NetworkDrivers
    namespaces: str

    async def start(self) -> None:
        """Take switches from now on. Raises ControllerAddressTaken."""
        try:
            await self.fabric.start()
        except OSError as error:
            where = f"{self.fabric.settings.host}:{self.fabric.settings.port}"
            message = f"cannot take switches at {where}: {error.strerror}"
            raise ControllerAddressTaken(message, address=where) from error

    async def close(self) -> None:
        """Let go of the switches; what they hold goes on."""
        await self.fabric.close()
        await self.crossed.close()
        await self.bridges.close()


def switched(
    document: object, nodes: tuple[Node, ...], settings: Settings, clock: Clock, master: bytes
) -> Switched:
    """What drives the document's switches. Keys of crossings come from `master`. Raises BadNetwork
    with every problem, NoTestbed."""
    sites = parse_sites(document)
    names = (sites.namespace_of(site.node) for site in sites.sites)
    missing = sorted(name for name in names if name and not (netns.FOLDER / name).exists())
    if missing:
        todo = f"umbel testbed up --name {sites.namespaces}"
        raise NoTestbed(f"testbed {sites.namespaces} is not up: {todo}", missing=missing)
    host = NetnsHost(sites.namespace_of) if sites.namespaces else None
    registry = SiteRegistry({site.node: site for site in sites.sites})
    bridges = OvsdbBridges(host)
    crossed = CrossedBridges(bridges, registry, sites.namespace_of, master)
    kind = TunnelKind(settings.tunnels)
    fabric = OpenFlowFabric(
        sites=registry,
        drawing=undrawn(nodes, parse_topology(document)),
        bridges=crossed,
        board=Controller,
        settings=OpenFlowSettings(
            host=sites.controller,
            port=settings.openflow_port,
            tunnels=TunnelSettings(kind=kind, bfd_ms=settings.bfd_ms),
            routes_nodes=bool(sites.namespaces),
        ),
        clock=clock,
    )
    return Switched(
        fabric=fabric,
        bridges=bridges,
        crossed=crossed,
        network=NetworkDrivers(
            fabric=fabric,
            switches=fabric,
            underlay=_underlay(fabric, sites.namespaces, kind) if sites.namespaces else None,
            bridges=crossed,
            ethernet=host.ethernet if host else None,
            neighbours=fabric.neighbours.ask,
        ),
        namespaces=sites.namespaces,
    )


def undrawn(nodes: tuple[Node, ...], links: Topology) -> Drawing:
    """The overlay until an operator draws another: every link, streams end at provider edges."""
    leaf = {node.name: node.kind is NodeKind.PROVIDER_EDGE for node in nodes}
    roles = {name: Role.LEAF if leaf.get(name) else Role.RELAY for name in links.nodes}
    return Drawing(roles=roles, links=tuple((link.a, link.b) for link in links.links))


def _underlay(fabric: OpenFlowFabric, testbed: str, kind: TunnelKind) -> Underlay:
    queues = TcQueues(partial(_inside, testbed), kind)
    return Underlay(fabric=fabric, queues=queues, sites=fabric.sites)


def _inside(testbed: str, node: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", f"{testbed}-{node}")
