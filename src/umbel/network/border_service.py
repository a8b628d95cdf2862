"""The network's borders as they are now, and one call for each thing that changes them.

In: gates, sign-ins, services and moves, by REST or other domains; the time. Out: what switches are
to hold besides streams' rules, given to whoever installs it (the fabric's `also`). State is kept in
memory: who asked for it asks again after a start.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import NotFound, Unavailable
from umbel.network import access, borders, mobility, redirection
from umbel.network.access import BadClient, Client, Gate
from umbel.network.borders import Borders
from umbel.network.mobility import Mobile
from umbel.network.model import Program, Topology
from umbel.network.redirection import Service
from umbel.network.sites import Plugs, Site

log = structlog.get_logger(__name__)
NAME = "borders"
"""Under which the programs are installed."""

Weave = Callable[[Mapping[str, Plugs]], Mapping[str, Program]]
Install = Callable[[str, Weave | None], Awaitable[None]]
"""Have switches hold what a Weave makes of how they are plugged, now and whenever that changes.
Returns when connected ones do; raises Unavailable when one cannot be brought there now."""

Ethernet = Callable[[Site, str], Awaitable[str]]
"""The Ethernet address of a client of the site's access network; empty: not known there."""


class NotInAccess(NotFound):
    """The client is in no node's access network."""

    code = "umbel.not_in_access"


class BorderService:
    """All calls make one change for good: where a switch cannot be brought there now, Unavailable
    is raised, and it will hold it as soon as it can."""

    def __init__(
        self,
        sites: Mapping[str, Site],
        topology: Topology,
        install: Install,
        ethernet: Ethernet,
        clock: Clock,
    ) -> None:
        self._sites, self._topology = sites, topology
        self._install, self._ethernet, self._clock = install, ethernet, clock
        self._state = Borders()
        self._wake = asyncio.Event()

    @property
    def state(self) -> Borders:
        """What is wanted now."""
        return self._state

    async def start(self) -> None:
        """Let what may pass pass: without this, nothing crosses a border."""
        await self._install(NAME, self._weave)

    async def run(self) -> None:
        """Ends clients' sign-ins when their time is over, until cancelled."""
        while True:
            self._wake.clear()
            next_s = self._state.access.next_expiry_s
            wait_s = None if next_s is None else max(0.0, next_s - self._clock.monotonic_s())
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                await self._expire()

    def node_of(self, address: str) -> str:
        """The node in whose access network a client is. Raises NotInAccess, BadClient."""
        try:
            client = ipaddress.IPv4Address(address)
        except ValueError:
            raise BadClient(address=address) from None
        for site in self._sites.values():
            if client in ipaddress.IPv4Interface(site.gateway).network:
                return site.node
        raise NotInAccess(f"{address}: {NotInAccess.__doc__}", address=address)

    async def close_gate(self, node: str, gate: Gate) -> None:
        """Raises BadGate."""
        await self._access(access.close(self._state.access, node, gate))

    async def open_gate(self, node: str) -> None:
        """Everybody may pass."""
        await self._access(access.open_up(self._state.access, node))

    async def sign_in(self, address: str, lifetime_s: float) -> Client:
        """The client may pass for so long. Raises NotInAccess, BadClient, NoGate."""
        node = self.node_of(address)
        mac = await self._ethernet(self._sites[node], address)
        client = Client(address=address, mac=mac, expires_s=self._clock.monotonic_s() + lifetime_s)
        await self._access(access.sign_in(self._state.access, node, client))
        return client

    async def sign_out(self, address: str) -> None:
        """Raises NotInAccess, BadClient."""
        await self._access(access.sign_out(self._state.access, self.node_of(address), address))

    async def offer(self, service: Service) -> Service:
        """A service with the surrogates there are. Raises BadService."""
        services = redirection.offer(self._state.services, service, self._topology)
        await self._become(replace(self._state, services=services))
        return services[service.name]

    async def move(self, name: str, node: str, surrogate: str) -> None:
        """See redirection.move. Raises UnknownService, NoSurrogate."""
        services = redirection.move(self._state.services, name, node, surrogate)
        await self._become(replace(self._state, services=services))

    async def settle(self, name: str) -> None:
        """See redirection.settle. Raises UnknownService."""
        services = redirection.settle(self._state.services, name)
        await self._become(replace(self._state, services=services))

    async def withdraw(self, name: str) -> None:
        """There is no such service any more."""
        services = redirection.withdraw(self._state.services, name)
        await self._become(replace(self._state, services=services))

    async def depart(self, function: Mobile, place: str) -> None:
        """A function is at another node, or home again. Raises BadStay, NotInTopology, NoPath."""
        stays = mobility.depart(self._state.stays, function, place, self._topology)
        await self._become(replace(self._state, stays=stays))

    async def changed(self, topology: Topology) -> None:
        """The links there are now: functions away are reached over those."""
        self._topology = topology
        stays = mobility.reroute(self._state.stays, topology)
        await self._become(replace(self._state, stays=stays))

    async def _access(self, new: access.Access) -> None:
        await self._become(replace(self._state, access=new))

    async def _become(self, state: Borders) -> None:
        self._state = state
        self._wake.set()
        await self._install(NAME, self._weave)

    async def _expire(self) -> None:
        expired = access.expire(self._state.access, self._clock.monotonic_s())
        try:
            await self._access(expired)
        except Unavailable as error:
            log.warning("switches not up to date", why=error.message)

    def _weave(self, plugs: Mapping[str, Plugs]) -> Mapping[str, Program]:
        return borders.programs(self._state, plugs)
