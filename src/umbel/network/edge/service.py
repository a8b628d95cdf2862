"""The network's borders as they are now, and one call for each thing that changes them.

In: gates, sign-ins, services and moves, by REST or other domains; the time; links that die. Out:
what switches are to hold besides streams' rules, given to the fabric (its `also`). What is asked is
kept in rows: a restart closes nobody's border. Where the network is not made of switches of ours
(loopback) every call raises NotProgrammed.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import NotFound, UmbelError, Unavailable
from umbel.network.edge import compiler, gates, roaming, virtual_services
from umbel.network.edge.compiler import Borders
from umbel.network.edge.gates import BadClient, Client, Door, Gate
from umbel.network.edge.roaming import BadStay, Mobile, Stay
from umbel.network.edge.store import BorderStore, KeptBorders
from umbel.network.edge.virtual_services import Service
from umbel.network.events import Event, LinkDown, LinkUp, Watch
from umbel.network.model import NotProgrammed, Pair, Topology, pair
from umbel.network.overlay.intent import Overlay
from umbel.network.switching.port_map import Plugs
from umbel.network.switching.program import Program
from umbel.network.topology.paths import NotInTopology
from umbel.network.topology.sites import Site

log = structlog.get_logger(__name__)
NAME = "borders"
"""Under which the programs are installed."""

_LOOK_S, _RETRY_S = 60.0, 1.0
Weave = Callable[[Mapping[str, Plugs]], Mapping[str, Program]]

Ethernet = Callable[[Site, str], Awaitable[str]]
"""The Ethernet address of a client of the site's access network; empty: not known there."""


class NotInAccess(NotFound):
    """The client is in no node's access network."""

    code = "umbel.not_in_access"


class Fabric(Protocol):
    """Switches that can hold more than streams' rules."""

    @property
    def sites(self) -> Mapping[str, Site]: ...
    @property
    def plugs(self) -> Mapping[str, Plugs]: ...
    @property
    def overlay(self) -> Overlay: ...

    async def also(self, name: str, weave: Weave | None, links: Collection[Pair] = ()) -> None:
        """Have switches hold what a Weave makes of how they are plugged, now and whenever that
        changes, and tunnels along the links. Returns when connected ones do; raises Unavailable
        when one cannot be brought there now."""

    def watch(self, watch: Watch) -> Callable[[], None]:
        """Have every event told from now on. Answers what ends that."""


@dataclass(frozen=True, kw_only=True)
class Land:
    """What borders run through. Without `ethernet` (real switches, whose nodes are not asked)
    clients are known by their IP addresses alone."""

    fabric: Fabric
    ethernet: Ethernet | None = None


@dataclass(frozen=True, kw_only=True)
class Here:
    """A client's place: its node, the node's gate if it has one, and the client as signed in."""

    node: str
    address: str
    gate: Gate | None
    client: Client | None


class BorderService:
    """All calls make one change for good: where a switch cannot be brought there now, Unavailable
    is raised, and it will hold it as soon as it can. All raise NotProgrammed."""

    def __init__(
        self, land: Land | None, topology: Topology, store: BorderStore, clock: Clock
    ) -> None:
        self._land, self._topology = land, topology
        self._store, self._clock = store, clock
        self._kept = KeptBorders(revision=0, borders=Borders())
        self._installed = -1
        self._wake = asyncio.Event()

    @property
    def state(self) -> Borders:
        """What is wanted now."""
        self._fabric()
        return self._kept.borders

    @property
    def known(self) -> Borders:
        """The same; nothing where no network is programmed."""
        return self._kept.borders

    @property
    def sites(self) -> Mapping[str, Site]:
        """The nodes that have access networks."""
        return self._fabric().sites

    async def run(self) -> None:
        """Take up what was left, end sign-ins when their time is over, and lead packets of moved
        functions around dead links, until cancelled."""
        if self._land is None:
            return
        stop = self._land.fabric.watch(self._hear)
        try:
            await self._patiently(self.start)
            while True:
                await self._due()
                await self._patiently(self._look)
        finally:
            stop()

    async def start(self) -> None:
        """Take up what was left, and let what may pass pass: before, nothing crosses a border.
        Raises Unavailable."""
        self._adopt(await self._store.load())
        await self._install()

    # -- access -----------------------------------------------------------------------------

    def here(self, address: str) -> Here:
        """Raises NotInAccess, BadClient."""
        node, state = self._node_of(address), self.state.access
        client = state.clients.get(node, {}).get(address)
        over = client is not None and client.expires_s <= self._clock.now_s()
        return Here(
            node=node,
            address=address,
            gate=state.gates.get(node),
            client=None if over else client,
        )

    def led(self, address: str) -> Door | None:
        """Where the client's web requests are led to now; None: they pass, as far as is known."""
        if self._land is None:
            return None
        try:
            here = self.here(address)
        except (NotInAccess, BadClient):
            return None
        return here.gate.front if here.gate and here.client is None else None

    async def close_gate(self, node: str, gate: Gate) -> None:
        """Raises BadGate, NotInTopology."""
        self._site(node)
        await self._access(lambda now: gates.close(now, node, gate))

    async def open_gate(self, node: str) -> None:
        """Everybody may pass. Raises NotInTopology."""
        self._site(node)
        await self._access(lambda now: gates.open_up(now, node))

    async def sign_in(
        self, address: str, lifetime_s: float, who: str = "", mac: str = ""
    ) -> Client:
        """The client may pass for so long; its `mac` is found out where none is given. Raises
        NotInAccess, BadClient, NoGate."""
        node = self._node_of(address)
        client = Client(
            address=address,
            mac=mac or await self._mac(node, address),
            expires_s=self._clock.now_s() + lifetime_s,
            who=who,
        )
        await self._access(lambda now: gates.sign_in(now, node, client))
        return client

    async def sign_out(self, address: str) -> None:
        """It may not any more. Raises NotInAccess, BadClient."""
        node = self._node_of(address)
        await self._access(lambda now: gates.sign_out(now, node, address))

    # -- services ---------------------------------------------------------------------------

    def service(self, name: str) -> Service:
        """Raises UnknownService."""
        return virtual_services.find(self.state.services, name)

    async def offer(self, service: Service) -> Service:
        """A service with the surrogates there are; without an address it gets a free one, or keeps
        its own. Raises BadService."""
        await self._services(lambda now: virtual_services.offer(now, service, self._topology))
        return self.service(service.name)

    async def move(self, name: str, node: str, surrogate: str) -> Service:
        """See redirection.move. Raises UnknownService, NoSurrogate, NotInTopology."""
        self._site(node)
        await self._services(lambda now: virtual_services.move(now, name, node, surrogate))
        return self.service(name)

    async def settle(self, name: str) -> Service:
        """See redirection.settle. Raises UnknownService."""
        await self._services(lambda now: virtual_services.settle(now, name))
        return self.service(name)

    async def withdraw(self, name: str) -> None:
        """There is no such service any more. Raises UnknownService."""
        self.service(name)
        await self._services(lambda now: virtual_services.withdraw(now, name))

    # -- moves ------------------------------------------------------------------------------

    def stay(self, name: str) -> Stay:
        """A function away from home. Raises NotAway."""
        return roaming.find(self.state.stays, name)

    def cut_off(self) -> Mapping[str, str]:
        """The functions that cannot be reached away now, and why."""
        return roaming.unplugged(self.state.stays, self._fabric().plugs)

    async def depart(self, function: Mobile, place: str) -> None:
        """A function is at another node, or home again. Its address is one of its home's access
        network. Raises BadStay, NotInTopology, NoPath."""
        self._site(place)
        home = ipaddress.IPv4Interface(self._site(function.home).gateway).network
        if not _is_in(function.address, home):
            problem = f"{function.address} is not in {home}, the access network of {function.home}"
            raise BadStay(f"{function.name}: {problem}", problems=[problem])
        living = self._living()
        await self._stays(lambda now: roaming.depart(now, function, place, living))

    async def come_home(self, name: str) -> None:
        """It is at home again. Raises NotAway."""
        self.stay(name)
        await self._stays(lambda now: roaming.come_home(now, name))

    # -- inside -----------------------------------------------------------------------------

    def _fabric(self) -> Fabric:
        if self._land is None:
            raise NotProgrammed
        return self._land.fabric

    def _site(self, node: str) -> Site:
        sites = self._fabric().sites
        if node not in sites:
            raise NotInTopology(f"The network has no node {node}", node=node)
        return sites[node]

    def _node_of(self, address: str) -> str:
        try:
            client = ipaddress.IPv4Address(address)
        except ValueError:
            raise BadClient(address=address) from None
        for site in self._fabric().sites.values():
            if client in ipaddress.IPv4Interface(site.gateway).network:
                return site.node
        raise NotInAccess(f"{address}: {NotInAccess.__doc__}", address=address)

    async def _mac(self, node: str, address: str) -> str:
        ethernet = self._land.ethernet if self._land else None
        if ethernet is None:
            return ""
        mac = await ethernet(self._site(node), address)
        if not mac:
            raise BadClient(f"{address}: node {node} knows no such client", address=address)
        return mac

    async def _access(self, new: Callable[[gates.Access], gates.Access]) -> None:
        await self._change(lambda now: replace(now, access=new(now.access)))

    async def _services(
        self, new: Callable[[virtual_services.Services], virtual_services.Services]
    ) -> None:
        await self._change(lambda now: replace(now, services=new(now.services)))

    async def _stays(self, new: Callable[[roaming.Stays], roaming.Stays]) -> None:
        await self._change(lambda now: replace(now, stays=new(now.stays)))

    async def _change(self, decide: Callable[[Borders], Borders]) -> None:
        self._fabric()
        self._adopt(await self._store.change(decide, at_s=self._clock.now_s()))
        await self._install()

    def _adopt(self, kept: KeptBorders) -> None:
        # Units commit in order, but may answer in another.
        if kept.revision >= self._kept.revision:
            self._kept = kept
        self._wake.set()

    async def _install(self) -> None:
        kept = self._kept
        await self._fabric().also(NAME, self._weave, roaming.links(kept.borders.stays))
        self._installed = kept.revision

    def _weave(self, plugs: Mapping[str, Plugs]) -> Mapping[str, Program]:
        return compiler.programs(self._kept.borders, plugs)

    async def _due(self) -> None:
        """Wait until there is something to look at, but not for ever: the calendar may jump."""
        self._wake.clear()
        next_s = self._kept.borders.access.next_expiry_s
        wait_s = _LOOK_S if next_s is None else next_s - self._clock.now_s()
        try:
            async with asyncio.timeout(min(_LOOK_S, max(0.0, wait_s))):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _look(self) -> None:
        now = self._now()
        if now(self._kept.borders) != self._kept.borders:
            await self._change(now)
        elif self._installed != self._kept.revision:
            await self._install()

    def _now(self) -> Callable[[Borders], Borders]:
        """Makes borders without those whose time is over, and with ways over links that live."""
        now_s, living = self._clock.now_s(), self._living()
        return lambda state: replace(
            state,
            access=gates.expire(state.access, now_s),
            stays=roaming.reroute(state.stays, living),
        )

    def _living(self) -> Topology:
        dead = self._fabric().overlay.ground.dead
        links = tuple(one for one in self._topology.links if pair(one.a, one.b) not in dead)
        return replace(self._topology, links=links)

    def _hear(self, event: Event) -> None:
        if isinstance(event, LinkUp | LinkDown):
            self._wake.set()

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until it is done; a database that is away is waited for."""
        while True:
            try:
                await work()
            except Unavailable as error:
                log.warning("borders not up to date", code=error.code, why=error.message)
                await asyncio.sleep(_RETRY_S)
            except UmbelError as error:
                log.warning("borders not up to date", code=error.code, why=error.message)
                return
            else:
                return


def _is_in(address: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.IPv4Address(address) in network
    except ValueError:
        return False
