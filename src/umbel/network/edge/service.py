"""The network's borders as they are now, and one call for each thing that changes them.

In: gates, sign-ins, services and moves, by REST or other domains; the time; links that die. Out:
what switches are to hold in addition to streams' rules, given to the fabric as extra rules. What is
requested is kept in rows: a restart ends no client's access. Where the network has no switches of
ours (loopback) every call raises NotProgrammed.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import NotFound, UmbelError, Unavailable
from umbel.kit.signal import Signal
from umbel.network.edge import compiler, gates, guest_routes, roaming, virtual_services
from umbel.network.edge.compiler import EdgeState
from umbel.network.edge.gates import Client, Gate, InvalidClient, PortalAddress
from umbel.network.edge.roaming import Binding, InvalidBinding, MobileFunction
from umbel.network.edge.store import EdgeStore, StoredEdge
from umbel.network.edge.virtual_services import VirtualService
from umbel.network.events import Event, LinkDown, LinkUp, PortAdded, PortRemoved
from umbel.network.model import NotProgrammed, Pair, Topology, TopologySource, pair
from umbel.network.ports import Ethernet, ProgrammableFabric
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import Program
from umbel.network.topology.paths import NotInTopology
from umbel.network.topology.sites import Site

log = structlog.get_logger(__name__)
NAME = "borders"
"""Under which the programs are installed."""

_LONGEST_WAIT_S, _RETRY_S = 60.0, 1.0


class NotInAccess(NotFound):
    """The client's address is in no node's access network."""

    code = "umbel.not_in_access"


@dataclass(frozen=True, kw_only=True)
class ClientLocation:
    """A client's place: its node, the node's gate if it has one, and the client as signed in."""

    node: str
    address: str
    gate: Gate | None
    client: Client | None


class EdgeService:
    """All calls make one change for good: where a switch cannot be brought there now, Unavailable
    is raised, and it will hold it as soon as it can. All raise NotProgrammed."""

    def __init__(
        self,
        fabric: ProgrammableFabric | None,
        topology: TopologySource,
        store: EdgeStore,
        clock: Clock,
        *,
        ethernet: Ethernet | None = None,
    ) -> None:
        self._fabric, self._topology, self._ethernet = fabric, topology, ethernet
        self._store, self._clock = store, clock
        self._stored = StoredEdge(revision=0, edge=EdgeState())
        self._installed: tuple[int, frozenset[Pair]] = (-1, frozenset())
        self._expected: dict[str, str] = {}
        self._changed = Signal()

    @property
    def state(self) -> EdgeState:
        """What is wanted now."""
        self._require_fabric()
        return self._stored.edge

    @property
    def snapshot(self) -> EdgeState:
        """The same, with the guests that are seen; nothing where no network is programmed."""
        return replace(self._stored.edge, guests=self._guests()) if self._fabric else EdgeState()

    @property
    def sites(self) -> Mapping[str, Site]:
        """The nodes that have access networks."""
        return self._require_fabric().sites

    async def run(self) -> None:
        """Take up what was left, end sign-ins when their time is over, and lead packets of moved
        functions around dead links, until cancelled."""
        if self._fabric is None:
            return
        stop = self._fabric.watch(self._on_event)
        try:
            changed = self._changed.listen()
            await self._retry(self.start)
            while True:
                await changed.wait(self._until_next_s())
                changed = self._changed.listen()
                await self._retry(self._reconcile)
        finally:
            stop()

    def wake(self) -> None:
        """Reconcile: nodes or links have changed."""
        self._changed.notify()

    async def start(self) -> None:
        """Take up what was left, and let what may pass pass: before, nothing crosses a border.
        Raises Unavailable."""
        self._adopt(await self._store.load())
        await self._install()

    # -- access -----------------------------------------------------------------------------

    def client_location(self, address: str) -> ClientLocation:
        """Raises NotInAccess, InvalidClient."""
        node, state = self._node_of(address), self.state.access
        client = state.clients.get(node, {}).get(address)
        over = client is not None and client.expires_s <= self._clock.now_s()
        return ClientLocation(
            node=node,
            address=address,
            gate=state.gates.get(node),
            client=None if over else client,
        )

    def portal_for(self, address: str) -> PortalAddress | None:
        """Where the client's web requests are led to now; None: they pass, as far as is known."""
        if self._fabric is None:
            return None
        try:
            location = self.client_location(address)
        except (NotInAccess, InvalidClient):
            return None
        return location.gate.portal if location.gate and location.client is None else None

    async def close_gate(self, node: str, gate: Gate) -> None:
        """Raises InvalidGate, NotInTopology."""
        self._site(node)
        await self._access(lambda now: gates.close(now, node, gate))

    async def open_gate(self, node: str) -> None:
        """Everybody may pass. Raises NotInTopology."""
        self._site(node)
        await self._access(lambda now: gates.open_up(now, node))

    async def sign_in(
        self, address: str, lifetime_s: float, username: str = "", mac: str = ""
    ) -> Client:
        """The client may pass for so long; its `mac` is found out where none is given. Raises
        NotInAccess, InvalidClient, NoGate."""
        node = self._node_of(address)
        client = Client(
            address=address,
            mac=mac or await self._mac(node, address),
            expires_s=self._clock.now_s() + lifetime_s,
            username=username,
        )
        await self._access(lambda now: gates.sign_in(now, node, client))
        return client

    async def sign_out(self, address: str) -> None:
        """It may not any more. Raises NotInAccess, InvalidClient."""
        node = self._node_of(address)
        await self._access(lambda now: gates.sign_out(now, node, address))

    # -- services ---------------------------------------------------------------------------

    def service(self, name: str) -> VirtualService:
        """Raises NoSuchService."""
        return virtual_services.find(self.state.services, name)

    async def offer(self, service: VirtualService) -> VirtualService:
        """A service with the surrogates there are; without an address it gets a free one, or keeps
        its own. Raises InvalidService."""
        await self._services(lambda now: virtual_services.offer(now, service, self._topology()))
        return self.service(service.name)

    async def move(self, name: str, node: str, surrogate: str) -> VirtualService:
        """See virtual_services.move. Raises NoSuchService, NoSuchSurrogate, NotInTopology."""
        self._site(node)
        await self._services(lambda now: virtual_services.move(now, name, node, surrogate))
        return self.service(name)

    async def close_old_connections(self, name: str) -> VirtualService:
        """See virtual_services. Raises NoSuchService."""
        await self._services(lambda now: virtual_services.close_old_connections(now, name))
        return self.service(name)

    async def withdraw(self, name: str) -> None:
        """There is no such service any more. Raises NoSuchService."""
        self.service(name)
        await self._services(lambda now: virtual_services.withdraw(now, name))

    # -- moves ------------------------------------------------------------------------------

    def binding(self, name: str) -> Binding:
        """A function away from home. Raises NotRegistered."""
        return roaming.find(self.state.bindings, name)

    def unreachable(self) -> Mapping[str, str]:
        """The functions that cannot be reached away now, and why."""
        return roaming.unreachable(self.state.bindings, self._require_fabric().observed.port_maps)

    async def register(self, function: MobileFunction, foreign_node: str) -> None:
        """A function is at another node, or home again. Its address is one of its home's access
        network. Raises InvalidBinding, NotInTopology, NoPath."""
        self._site(foreign_node)
        home_network = ipaddress.IPv4Interface(self._site(function.home_node).gateway).network
        if not _is_in(function.address, home_network):
            where = f"{home_network}, the access network of {function.home_node}"
            problem = f"{function.address} is not in {where}"
            raise InvalidBinding(f"{function.name}: {problem}", problems=[problem])
        living = self._living()
        await self._change_bindings(
            lambda now: roaming.register(now, function, foreign_node, living)
        )

    async def deregister(self, name: str) -> None:
        """It is at home again. Raises NotRegistered."""
        self.binding(name)
        await self._change_bindings(lambda now: roaming.deregister(now, name))

    async def expect_guest(self, address: str, node: str) -> None:
        """A guest is about to be at another node, too: what is for it is copied there, to the port
        that it will have."""
        if node:
            self._expected[address] = node
        else:
            self._expected.pop(address, None)
        await self._install()

    # -- inside -----------------------------------------------------------------------------

    def _require_fabric(self) -> ProgrammableFabric:
        if self._fabric is None:
            raise NotProgrammed
        return self._fabric

    def _site(self, node: str) -> Site:
        sites = self._require_fabric().sites
        if node not in sites:
            raise NotInTopology(f"The network has no node {node}", node=node)
        return sites[node]

    def _node_of(self, address: str) -> str:
        try:
            client = ipaddress.IPv4Address(address)
        except ValueError:
            raise InvalidClient(address=address) from None
        for site in self._require_fabric().sites.values():
            if client in ipaddress.IPv4Interface(site.gateway).network:
                return site.node
        raise NotInAccess(f"{address}: {NotInAccess.__doc__}", address=address)

    async def _mac(self, node: str, address: str) -> str:
        if self._ethernet is None:
            return ""
        mac = await self._ethernet(self._site(node), address)
        if not mac:
            raise InvalidClient(f"{address}: node {node} knows no such client", address=address)
        return mac

    async def _access(self, new: Callable[[gates.Access], gates.Access]) -> None:
        await self._change(lambda now: replace(now, access=new(now.access)))

    async def _services(
        self, new: Callable[[virtual_services.Services], virtual_services.Services]
    ) -> None:
        await self._change(lambda now: replace(now, services=new(now.services)))

    async def _change_bindings(self, new: Callable[[roaming.Bindings], roaming.Bindings]) -> None:
        await self._change(lambda now: replace(now, bindings=new(now.bindings)))

    async def _change(self, decide: Callable[[EdgeState], EdgeState]) -> None:
        self._require_fabric()
        self._adopt(await self._store.change(decide, at_s=self._clock.now_s()))
        await self._install()

    def _adopt(self, stored: StoredEdge) -> None:
        # Units commit in order, but may answer in another.
        if stored.revision >= self._stored.revision:
            self._stored = stored
        self._changed.notify()

    async def _install(self) -> None:
        stored, links = self._stored, self._links()
        await self._require_fabric().install_extra_rules(NAME, self._compile, links, self._expected)
        self._installed = (stored.revision, links)

    def _links(self) -> frozenset[Pair]:
        """The links that need tunnels."""
        return roaming.links(self._stored.edge.bindings) | guest_routes.links(self._guests())

    def _compile(self, port_maps: Mapping[str, PortMap]) -> Mapping[str, Program]:
        edge = replace(self._stored.edge, guests=self._guests(port_maps))
        return compiler.programs(edge, port_maps)

    def _guests(
        self, port_maps: Mapping[str, PortMap] | None = None
    ) -> tuple[guest_routes.GuestRoute, ...]:
        """Where guests are, and are expected, by the ports there are."""
        fabric = self._require_fabric()
        seen = fabric.observed.port_maps if port_maps is None else port_maps
        found = guest_routes.places(seen, self._expected)
        return guest_routes.routes(found, fabric.sites.guest_home, self._living())

    def _until_next_s(self) -> float:
        """Until the next sign-in expires, but not too long: the calendar may jump."""
        next_s = self._stored.edge.access.next_expiry_s
        wait_s = _LONGEST_WAIT_S if next_s is None else next_s - self._clock.now_s()
        return min(_LONGEST_WAIT_S, max(0.0, wait_s))

    async def _reconcile(self) -> None:
        now = self._now()
        if now(self._stored.edge) != self._stored.edge:
            await self._change(now)
        elif self._installed != (self._stored.revision, self._links()):
            await self._install()

    def _now(self) -> Callable[[EdgeState], EdgeState]:
        """Removes expired sign-ins, leads paths over links that are up, and has services follow the
        nodes."""
        now_s, living, topology = self._clock.now_s(), self._living(), self._topology()
        return lambda state: replace(
            state,
            access=gates.expire(state.access, now_s),
            services=virtual_services.follow(state.services, topology),
            bindings=roaming.reroute(state.bindings, living),
        )

    def _living(self) -> Topology:
        dead = self._require_fabric().overlay.link_state.dead
        topology = self._topology()
        links = tuple(one for one in topology.links if pair(one.a, one.b) not in dead)
        return replace(topology, links=links)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, LinkUp | LinkDown | PortAdded | PortRemoved):
            self.wake()

    async def _retry(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until it is done; a database that is away is waited for."""
        while True:
            try:
                await work()
            except Unavailable as error:
                log.warning("edge rules not up to date", code=error.code, why=error.message)
                await asyncio.sleep(_RETRY_S)
            except UmbelError as error:
                log.warning("edge rules not up to date", code=error.code, why=error.message)
                return
            else:
                return


def _is_in(address: str, network: ipaddress.IPv4Network) -> bool:
    try:
        return ipaddress.IPv4Address(address) in network
    except ValueError:
        return False
