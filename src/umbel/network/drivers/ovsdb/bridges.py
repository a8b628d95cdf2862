"""`Bridges` on real Open vSwitch: each node's bridges are made by its own database.

In: sites and wirings. Out: the ports switches gave. A node's connection stays open from the first
`ensure` until `remove` or `close`, so that its host is set up again when vswitchd came back and
made the devices again.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from umbel.kit.errors import Unavailable
from umbel.network.drivers.ovsdb import edits
from umbel.network.drivers.ovsdb.connection import (
    Connection,
    OvsdbGone,
    OvsdbRefused,
    Timeouts,
    ended,
)
from umbel.network.drivers.ovsdb.layout import OUTSIDE_PORT, Layout, layout, local_mac
from umbel.network.drivers.ovsdb.replica import Replica, number
from umbel.network.switching.port_map import GuestPort, PortMap, guest_mac
from umbel.network.switching.ports import NodeSetup
from umbel.network.topology.sites import (
    ACCESS_BRIDGE,
    LOCAL_PORT,
    OVERLAY_BRIDGE,
    Site,
    UnderlayRoute,
    Wiring,
)

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")
_ATTEMPTS = 3
_AGAIN_S = 1.0

Made = tuple[int, ...]
"""The devices of a node that the host is set up on, by their numbers in the kernel."""

Routing = tuple[tuple[str, ...], tuple[UnderlayRoute, ...]]
"""The streams' addresses, and the routes over links, that the host has."""


@dataclass(eq=False)
class _Node:
    """A node's connection and what was last asked of it."""

    site: Site
    connection: Connection
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    layout: Layout | None = None
    routing: Routing = ((), ())
    configured: tuple[Site, Made, Routing] | None = None
    numbers: dict[str, int] = field(default_factory=dict)
    """What the ports of expected guests are to be numbered, by the guests' addresses."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class OvsdbBridges:
    """See the Protocol. `settle_s` is how long vswitchd may take to make what it is reported."""

    def __init__(
        self,
        host: NodeSetup | None = None,
        *,
        settle_s: float = 10.0,
        patience: Timeouts | None = None,
    ) -> None:
        self._host = host
        self._settle_s = settle_s
        self._patience = patience or Timeouts()
        self._nodes: dict[str, _Node] = {}

    async def check(self, site: Site) -> None:
        """See the Protocol. By a connection of its own: the node may have another switch now."""
        node = _Node(site, Connection(site.ovsdb, self._patience))
        running = asyncio.create_task(node.connection.run())
        try:
            await self._replica(node)
        finally:
            await ended(running)

    async def ensure(self, site: Site, wiring: Wiring) -> PortMap:
        """See the Protocol; also raises OvsdbRefused and BadWiring."""
        wanted = layout(site, wiring)
        node = await self._node(site)
        async with node.writing:
            node.site, node.layout = site, wanted
            node.routing = (wiring.targets, wiring.routes)
            await self._change(node, lambda replica: edits.edits(replica, wanted))
            replica = await self._settled(node, wanted)
            guests = wiring.guests if site.guests else ()
            node.numbers = edits.reserved(replica, OVERLAY_BRIDGE, guests, node.numbers)
            port_maps = _plugs(replica, site, wanted, node.numbers)
            await self._configure(node, _made(replica, wanted), port_maps)
            return port_maps

    async def remove(self, site: Site) -> None:
        node = await self._node(site)
        async with node.writing:
            node.layout = None
            names = (ACCESS_BRIDGE, OVERLAY_BRIDGE)
            await self._change(node, lambda r: edits.removal(r, site.node, names))
            await self._within(
                node,
                lambda replica: replica.caught_up() or None,
                "vswitchd has not removed all of it",
                self._settle_s,
            )
        await self._forget(node)

    async def close(self) -> None:
        """Let go of all switches; what they have stays."""
        for node in list(self._nodes.values()):
            await self._forget(node)

    async def _node(self, site: Site) -> _Node:
        """Kept by name; a switch that moved is another one."""
        node = self._nodes.get(site.node)
        if node is not None and node.site.ovsdb != site.ovsdb:
            await self._forget(node)
            node = None
        if node is None:
            node = _Node(site, Connection(site.ovsdb, self._patience))
            self._nodes[site.node] = node
            node.tasks += [
                asyncio.create_task(node.connection.run()),
                asyncio.create_task(self._keep(node)),
                asyncio.create_task(_renumber(node)),
            ]
        return node

    async def _forget(self, node: _Node) -> None:
        if self._nodes.get(node.site.node) is node:
            del self._nodes[node.site.node]
        for task in node.tasks:
            await ended(task)

    async def _change(self, node: _Node, ask: Callable[[Replica], list[edits.Operation]]) -> None:
        """One transaction, none if there is nothing to do; again when somebody else was first or
        the connection was lost over it."""
        for attempt in range(1, _ATTEMPTS + 1):
            replica = await self._replica(node)
            operations = ask(replica)
            if not operations:
                return
            try:
                await node.connection.transact(operations)
            except (OvsdbRefused, OvsdbGone):
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    async def _settled(self, node: _Node, wanted: Layout) -> Replica:
        def settled(replica: Replica) -> Replica | None:
            if not replica.caught_up():
                return None
            missing = edits.missing(replica, wanted)
            errors = {name: why for name, why in missing.items() if why}
            if errors:
                raise Unavailable(f"{site.node}: vswitchd cannot open {errors}", node=site.node)
            return None if missing else replica

        site = node.site
        why = "vswitchd has not made all of it"
        return await self._within(node, settled, why, self._settle_s)

    async def _replica(self, node: _Node) -> Replica:
        return await self._within(
            node, lambda replica: replica, "its database does not answer", self._patience.answer_s
        )

    async def _within(
        self,
        node: _Node,
        ask: Callable[[Replica], Answer | None],
        why: str,
        within_s: float,
    ) -> Answer:
        try:
            async with asyncio.timeout(within_s):
                return await node.connection.until(ask)
        except TimeoutError:
            site = node.site
            raise OvsdbGone(f"{site.node}: {why}", node=site.node, at=site.ovsdb) from None

    async def _configure(self, node: _Node, made: Made, port_maps: PortMap) -> None:
        wanted = (node.site, made, node.routing)
        if self._host is not None and node.configured != wanted:
            await self._host.configure(node.site, port_maps, *node.routing)
            node.configured = wanted

    async def _keep(self, node: _Node) -> None:
        """Sets the host up again when its devices are not those it was set up on."""

        def renewed(replica: Replica) -> Replica | None:
            wanted = node.layout
            if wanted is None or node.configured is None or not replica.caught_up():
                return None
            same = (node.site, _made(replica, wanted), node.routing) == node.configured
            return None if same or edits.missing(replica, wanted) else replica

        while True:
            await node.connection.until(renewed)
            async with node.writing:
                replica = node.connection.replica
                if replica is None or node.layout is None or renewed(replica) is None:
                    continue
                try:
                    port_maps = _plugs(replica, node.site, node.layout, node.numbers)
                    await self._configure(node, _made(replica, node.layout), port_maps)
                except Unavailable as error:
                    log.warning("host not set up", node=node.site.node, why=error.message)
                    await asyncio.sleep(_AGAIN_S)


async def _renumber(node: _Node) -> None:
    """Has the ports of expected guests get their numbers as soon as a hypervisor makes them."""
    while True:
        operations = await node.connection.until(
            lambda replica: edits.renumbering(replica, OVERLAY_BRIDGE, node.numbers) or None
        )
        try:
            await node.connection.transact(operations)
        except (OvsdbRefused, OvsdbGone) as error:
            log.warning("guest's port not numbered", node=node.site.node, why=error.message)
            await asyncio.sleep(_AGAIN_S)


def _made(replica: Replica, wanted: Layout) -> Made:
    guests = edits.guests(replica, OVERLAY_BRIDGE).values()
    names = (
        *(LOCAL_PORT, *(plan.name for plan in wanted.bridges)),
        *(port.device for port in guests),
    )
    found = (replica.named("Interface", name) for name in names)
    return tuple(number(item[1], "ifindex") if item else 0 for item in found)


def _plugs(replica: Replica, site: Site, wanted: Layout, numbers: Mapping[str, int]) -> PortMap:
    def of_number(name: str) -> int:
        found = replica.named("Interface", name)
        return number(found[1], "ofport") if found else 0

    return PortMap(
        tunnel_ports={neighbour: of_number(name) for neighbour, name in wanted.tunnels.items()},
        patch_port=of_number(OUTSIDE_PORT),
        local_port=of_number(LOCAL_PORT),
        local_mac=local_mac(site),
        guests=_guests(replica, numbers) if site.guests else {},
    )


def _guests(replica: Replica, numbers: Mapping[str, int]) -> dict[str, GuestPort]:
    """The ports of guests that are there, and those that are expected: as long as a port has not
    got its number, no rule is to follow the one that it has."""
    found = edits.guests(replica, OVERLAY_BRIDGE)
    return found | {
        address: GuestPort(number=number, mac=guest_mac(address), is_expected=True)
        for address, number in numbers.items()
        if address not in found or found[address].number != number
    }
