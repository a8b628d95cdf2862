"""Brings bridges and tunnels to what the overlay wants of them.

In: which neighbours tunnels are to lead to, which targets nodes' processes send to, and which
guests are expected. Out: the
ports that the switches gave, and calls when tunnels' ends are made or about to be removed.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

import structlog

from umbel.kit.errors import UmbelError
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.ports import Bridges
from umbel.network.topology import wiring
from umbel.network.topology.sites import Site, UnderlayRoute, Wiring
from umbel.network.topology.wiring import TunnelSettings

log = structlog.get_logger(__name__)

OnMade = Callable[[str, frozenset[str]], None]
"""Called with a node and the neighbours that its new tunnels lead to."""

OnRemoved = Callable[[str, str], None]
"""Called with a node and the neighbour that a tunnel will lead to no longer."""


class Wires:
    """`port_maps` are the ports that switches gave, by node. Those that are `lost` hold up no
    others: `on_late` is called when one was wired after all."""

    def __init__(
        self,
        sites: Mapping[str, Site],
        bridges: Bridges,
        settings: TunnelSettings,
        on_made: OnMade,
        on_removed: OnRemoved,
    ) -> None:
        self._sites, self._bridges, self._settings = sites, bridges, settings
        self._on_made, self._on_removed = on_made, on_removed
        self.lost: Callable[[], Collection[str]] = tuple
        self.on_late: Callable[[], None] = lambda: None
        self._late: dict[str, asyncio.Task[bool]] = {}
        self.port_maps: dict[str, PortMap] = {}
        self._made: dict[str, Site] = {}
        self._wired: dict[str, tuple[Site, Wiring]] = {}

    def forget(self, node: str) -> None:
        """The node's bridges may have changed: wire them again."""
        self._wired.pop(node, None)

    def forget_guests(self, node: str) -> None:
        """A port came or went: it may be a guest's."""
        if node in self._sites and self._sites[node].guests:
            self.forget(node)

    async def ensure(
        self,
        tunnels: Mapping[str, Collection[str]],
        controller: str,
        targets: Mapping[str, Collection[str]],
        routes: Mapping[str, tuple[UnderlayRoute, ...]],
        guests: Mapping[str, str],
    ) -> bool:
        """Make the bridges that are not wired like this. Returns whether all are made."""
        sites = dict(self._sites)
        wired = wiring.wirings(sites, tunnels, controller, self._settings, targets, routes)
        wirings = {node: replace(one, guests=_at(node, guests)) for node, one in wired.items()}
        wanted = {node: (site, wirings[node]) for node, site in sites.items()}
        for node, made in tuple(self._made.items()):
            if node not in sites or not sites[node].is_same_switch(made):
                self._drop(node)
        todo = [node for node, intent in wanted.items() if self._wired.get(node) != intent]
        for node in todo:
            self._retire(node, wirings[node])
        late = {*self._late, *self.lost()}.intersection(todo)
        for node in sorted(late - self._late.keys()):
            self._late[node] = asyncio.create_task(self._wire(*wanted[node]))
            self._late[node].add_done_callback(partial(self._come, node))
        done = await asyncio.gather(*(self._wire(*wanted[n]) for n in todo if n not in late))
        return all(done) and not late

    async def close(self) -> None:
        """Wait for lost nodes no longer."""
        late = [*self._late.values()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _come(self, node: str, task: "asyncio.Task[bool]") -> None:
        del self._late[node]
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("lost node not wired", node=node, exc_info=error)
        elif task.result():
            self.on_late()

    def _drop(self, node: str) -> None:
        """The node has this switch no longer, nor its tunnels."""
        self.forget(node)
        del self._made[node]
        for near in self.port_maps.pop(node).tunnel_ports:
            self._on_removed(node, near)

    def _retire(self, node: str, wanted: Wiring) -> None:
        """Tunnels that are to go count no more, before the first of their ends goes: that would
        look like a loss."""
        kept, held = {tunnel.neighbour for tunnel in wanted.tunnels}, self.port_maps.get(node)
        if held is None or held.tunnel_ports.keys() <= kept:
            return
        ports = {near: port for near, port in held.tunnel_ports.items() if near in kept}
        self.port_maps[node] = replace(held, tunnel_ports=ports)
        for near in held.tunnel_ports.keys() - kept:
            self._on_removed(node, near)

    async def _wire(self, site: Site, wanted: Wiring) -> bool:
        node = site.node
        try:
            port_map = await self._bridges.ensure(site, wanted)
        except UmbelError as error:
            log.warning("bridges not made", node=node, code=error.code, reason=error.message)
            return False
        if node not in self._sites:  # it was removed in the meantime
            return True
        before = self.port_maps.get(node, PortMap()).tunnel_ports
        self.port_maps[node], self._made[node] = port_map, site
        self._wired[node] = (site, wanted)
        self._on_made(node, frozenset(port_map.tunnel_ports.keys() - before.keys()))
        return True


def _at(node: str, guests: Mapping[str, str]) -> tuple[str, ...]:
    """The guests that are expected at the node."""
    return tuple(sorted(address for address, at in guests.items() if at == node))
