"""The calls that change borders, in virtual time, over a real database and switches in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import pytest

from support import databases
from support.switchboard import sites
from support.virtual import PatientDatabase, scenario, until
from umbel.kit.clock import LoopClock
from umbel.kit.errors import Unavailable
from umbel.network.edge import compiler
from umbel.network.edge.compiler import EdgeState
from umbel.network.edge.gates import Gate, InvalidClient, NoGate, PortalAddress
from umbel.network.edge.roaming import InvalidBinding, MobileFunction, NotRegistered
from umbel.network.edge.service import NAME, EdgeService, NotInAccess
from umbel.network.edge.store import EdgeStore
from umbel.network.edge.virtual_services import (
    InvalidService,
    NoSuchService,
    Surrogate,
    VirtualService,
)
from umbel.network.events import LinkDown, LinkUp, Watcher
from umbel.network.model import Link, NotProgrammed, Pair, Topology
from umbel.network.overlay.intent import Overlay
from umbel.network.overlay.links import LinkState
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.ports import CompileRules, ObservedSwitches
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import Program
from umbel.network.topology.paths import NotInTopology
from umbel.network.topology.registry import SiteRegistry
from umbel.network.topology.sites import Site

LINE = Topology(nodes=("pe1", "pe2"), links=(Link(a="pe1", b="pe2"),))
PLUGS = {
    "pe1": PortMap(
        patch_port=1, local_port=2, local_mac="02:00:00:00:00:01", tunnel_ports={"pe2": 10}
    ),
    "pe2": PortMap(
        patch_port=1, local_port=2, local_mac="02:00:00:00:00:02", tunnel_ports={"pe1": 10}
    ),
}
TRIANGLE = Topology(
    nodes=("pe1", "pe2", "c1"),
    links=(Link(a="pe1", b="pe2"), Link(a="pe1", b="c1"), Link(a="c1", b="pe2")),
)
SITES = sites(tuple(PLUGS), [("pe1", "pe2")])
GATE = Gate(portal=PortalAddress(address="10.97.0.1", port=8000))
SURROGATES = (
    Surrogate(name="a", node="pe1", address="10.97.1.1", port=8080),
    Surrogate(name="b", node="pe2", address="10.97.2.1", port=8080),
)
VIDEO = VirtualService(name="video", address="10.204.0.1", port=80, surrogates=SURROGATES)
FUNCTION = MobileFunction(name="f", address="10.202.1.20", mac="02:00:00:00:00:20", home_node="pe1")


def drawn(topology: Topology, *dead: Pair) -> Overlay:
    roles = dict.fromkeys(topology.nodes, Role.RELAY)
    links = tuple((link.a, link.b) for link in topology.links)
    link_state = LinkState(drawing=Drawing(roles=roles, links=links))
    return Overlay(link_state=link_state.after(dead))


@dataclass
class Switches:
    """Hold what they were told last; `away` ones cannot be told now."""

    overlay: Overlay
    sites: SiteRegistry = field(default_factory=lambda: SITES)
    port_maps: Mapping[str, PortMap] = field(default_factory=lambda: PLUGS)
    hold: Mapping[str, Program] = field(default_factory=dict)
    tunnels: frozenset[Pair] = frozenset()
    told: int = 0
    away: bool = False
    watches: list[Watcher] = field(default_factory=list)
    during: list[Callable[[], None]] = field(default_factory=list)

    async def install_extra_rules(
        self,
        name: str,
        compile_rules: CompileRules | None,
        links: Collection[Pair] = (),
        guests: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        assert name == NAME
        assert compile_rules is not None
        self.told += 1
        if self.away:
            raise Unavailable("a switch is away")
        self.hold, self.tunnels = compile_rules(self.port_maps), frozenset(links)
        while self.during:
            self.during.pop()()

    @property
    def observed(self) -> ObservedSwitches:
        return ObservedSwitches(port_maps=self.port_maps)

    async def change(self, overlay: Overlay) -> None:
        self.overlay = overlay

    def watch(self, watch: Watcher) -> Callable[[], None]:
        self.watches.append(watch)
        return lambda: self.watches.remove(watch)

    def lose(self, topology: Topology, *dead: Pair) -> None:
        self.overlay = drawn(topology, *dead)
        for watch in self.watches:
            for a, b in dead:
                watch(LinkDown(a=a, b=b))

    def mend(self, topology: Topology, a: str, b: str) -> None:
        self.overlay = drawn(topology)
        for watch in self.watches:
            watch(LinkUp(a=a, b=b))


async def ethernet(site: Site, address: str) -> str:
    return "" if address.endswith(".99") else f"02:00:00:00:00:{int(address[-2:]):02x}"


@dataclass
class World:
    """Switches and a database, and control planes over them."""

    database: PatientDatabase
    switches: Switches
    topology: Topology = LINE
    has_ethernet: bool = True

    def make(self) -> EdgeService:
        store, clock = EdgeStore(self.database), LoopClock()
        asks = ethernet if self.has_ethernet else None
        return EdgeService(self.switches, lambda: self.topology, store, clock, ethernet=asks)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[EdgeService]:
        service = self.make()
        task = asyncio.create_task(service.run())
        try:
            await asyncio.sleep(0.01)
            yield service
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def holds(self, state: EdgeState) -> bool:
        return self.switches.hold == compiler.programs(state, PLUGS)


@asynccontextmanager
async def world(folder: Path, topology: Topology = LINE) -> AsyncIterator[World]:
    database = PatientDatabase(f"sqlite:///{folder / 'umbel.db'}")
    try:
        await databases.prepare(database)
        yield World(database, Switches(drawn(topology)), topology)
    finally:
        await database.close()


@scenario
async def test_sign_ins_end_when_their_time_is_over(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.running() as service:
        await service.close_gate("pe1", GATE)
        closed = service.state
        first = await service.sign_in("10.202.1.10", 60, "ann")
        assert (first.mac, first.username) == ("02:00:00:00:00:0a", "ann")
        assert service.client_location("10.202.1.10").client == first
        assert service.portal_for("10.202.1.10") is None
        assert service.portal_for("10.202.1.11") == GATE.portal
        await asyncio.sleep(30)
        await service.sign_in("10.202.1.11", 60)
        assert here.holds(service.state)
        await asyncio.sleep(31)
        assert set(service.state.access.clients["pe1"]) == {"10.202.1.11"}
        assert service.portal_for("10.202.1.10") == GATE.portal
        assert here.holds(service.state)
        await asyncio.sleep(31)
        assert service.state.access.clients == {"pe1": {}}
        assert here.holds(closed)
        told = here.switches.told
        await asyncio.sleep(1000)
        assert here.switches.told == told


@scenario
async def test_who_signed_in_stays_so_over_a_restart_as_long_as_was_said(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        async with here.running() as service:
            await service.close_gate("pe1", GATE)
            await service.sign_in("10.202.1.10", 60)
            await service.sign_in("10.202.1.11", 600)
            await service.offer(VIDEO)
            await service.move("video", "pe1", "b")
            await service.register(FUNCTION, "pe2")
            before = service.state
        here.switches.hold = {}
        async with here.running() as service:
            assert service.state == before
            assert here.holds(before)
        await asyncio.sleep(61)
        async with here.running() as service:
            await asyncio.sleep(1)
            assert set(service.state.access.clients["pe1"]) == {"10.202.1.11"}
            assert here.holds(service.state)


@scenario
async def test_a_start_waits_for_switches_that_are_away(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.switches.away = True
        async with here.running():
            await asyncio.sleep(10)
            assert here.switches.told > 5
            here.switches.away = False
            await asyncio.sleep(2)
            assert here.holds(EdgeState())


@scenario
async def test_an_expiry_that_finds_a_switch_away_is_no_end(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.running() as service:
        await service.close_gate("pe1", GATE)
        closed = service.state
        await service.sign_in("10.202.1.10", 60)
        here.switches.away = True
        await asyncio.sleep(61)
        here.switches.away = False
        await asyncio.sleep(61)
        assert here.holds(closed)
        await service.sign_in("10.202.1.11", 60)
        assert set(service.state.access.clients["pe1"]) == {"10.202.1.11"}
        await asyncio.sleep(61)
        assert service.state.access.clients == {"pe1": {}}
        assert here.holds(closed)


@scenario
async def test_who_is_not_there_cannot_sign_in(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.running() as service:
        for address in ("10.203.1.10", "192.0.2.1"):
            with pytest.raises(NotInAccess):
                await service.sign_in(address, 60)
            assert service.portal_for(address) is None
        with pytest.raises(NoGate):
            await service.sign_in("10.202.1.10", 60)
        assert service.portal_for("10.202.1.10") is None
        await service.close_gate("pe1", GATE)
        for address in ("10.202.1", "10.202.1.99"):
            with pytest.raises(InvalidClient):
                await service.sign_in(address, 60)
        with pytest.raises(NotInTopology):
            await service.close_gate("moon", GATE)


@scenario
async def test_where_nodes_are_not_asked_an_address_is_enough(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.has_ethernet = False
        async with here.running() as service:
            await service.close_gate("pe1", GATE)
            assert (await service.sign_in("10.202.1.99", 60)).mac == ""
            await service.sign_in("10.202.1.98", 60, mac="02:00:00:00:00:98")
            clients = service.state.access.clients["pe1"]
            assert clients["10.202.1.98"].mac == "02:00:00:00:00:98"
            assert here.holds(service.state)


@scenario
async def test_every_call_reaches_the_switches(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.running() as service:
        await service.close_gate("pe2", GATE)
        await service.sign_in("10.202.2.10", 60)
        await service.sign_out("10.202.2.10")
        assert service.state.access.clients == {"pe2": {}}
        assert (await service.offer(VIDEO)).chosen == {"pe1": "a", "pe2": "b"}
        assert (await service.move("video", "pe1", "b")).chosen["pe1"] == "b"
        assert here.holds(service.state)
        assert (await service.close_old_connections("video")).previous == {}
        await service.register(FUNCTION, "pe2")
        assert here.holds(service.state)
        assert here.switches.tunnels == {("pe1", "pe2")}
        assert service.unreachable() == {}
        here.switches.port_maps = {**PLUGS, "pe2": PortMap(patch_port=1, local_port=2)}
        assert service.unreachable() == {"f": "node pe2: no port leads to pe1"}
        here.switches.port_maps = PLUGS
        await service.deregister("f")
        await service.withdraw("video")
        await service.open_gate("pe2")
        assert service.state == EdgeState()
        assert here.holds(EdgeState())
        for call in (service.withdraw("video"), service.move("video", "pe1", "b")):
            with pytest.raises(NoSuchService):
                await call
        with pytest.raises(NotRegistered):
            await service.deregister("f")
        with pytest.raises(NotInTopology):
            await service.register(FUNCTION, "moon")
        for address in ("10.202.2.20", "10.202.1"):
            with pytest.raises(InvalidBinding, match=r"is not in 10\.202\.1\.0/24"):
                await service.register(replace(FUNCTION, address=address), "pe2")
        assert here.holds(EdgeState())


@scenario
async def test_an_address_is_found_for_a_service_without_one(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.running() as service:
        await service.offer(VIDEO)
        other = VirtualService(name="other", address="", port=80, surrogates=SURROGATES)
        made = await service.offer(other)
        assert made.address == "10.204.0.2"
        await service.withdraw("video")
        assert (await service.offer(other)).address == "10.204.0.2"
        strange = Surrogate(name="c", node="moon", address="10.97.3.1", port=8080)
        with pytest.raises(InvalidService, match="c is at moon, which is no node"):
            await service.offer(
                VirtualService(name="x", address="", port=80, surrogates=(strange,))
            )


@scenario
async def test_functions_away_are_reached_over_links_that_live(tmp_path: Path) -> None:
    async with world(tmp_path, TRIANGLE) as here, here.running() as service:
        await service.register(FUNCTION, "pe2")
        assert service.binding("f").path == ("pe1", "pe2")

        async def way() -> tuple[str, ...]:
            return service.binding("f").path

        here.switches.lose(TRIANGLE, ("pe1", "pe2"))
        await until(lambda: _is(way, ("pe1", "c1", "pe2")), within_s=5, why="rerouted")
        assert here.switches.tunnels == {("c1", "pe1"), ("c1", "pe2")}
        here.switches.mend(TRIANGLE, "pe1", "pe2")
        await until(lambda: _is(way, ("pe1", "pe2")), within_s=5, why="back")


@scenario
async def test_a_link_that_dies_while_rules_are_installed_is_not_missed(tmp_path: Path) -> None:
    async with world(tmp_path, TRIANGLE) as here, here.running() as service:
        await service.register(FUNCTION, "pe2")
        here.switches.during = [lambda: here.switches.lose(TRIANGLE, ("c1", "pe1"))]
        here.switches.lose(TRIANGLE, ("pe1", "pe2"))

        async def state() -> object:
            return here.switches.during, service.binding("f").path

        await until(lambda: _is(state, ([], ("pe1", "pe2"))), within_s=5, why="rerouted")


async def _is(ask: Callable[[], object], wanted: object) -> bool:
    return await ask() == wanted  # type: ignore[misc]


@scenario
async def test_what_a_switch_could_not_be_told_is_wanted_still(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        service = here.make()
        here.switches.away = True
        with pytest.raises(Unavailable):
            await service.close_gate("pe1", GATE)
        here.switches.away = False
        await service.start()
        assert "pe1" in service.state.access.gates
        assert here.holds(service.state)


@scenario
async def test_sign_ins_at_once_are_all_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.running() as service:
        await service.close_gate("pe1", GATE)
        names = [f"10.202.1.{n}" for n in range(10, 30)]
        await asyncio.gather(*(service.sign_in(name, 60) for name in names))
        assert set(service.state.access.clients["pe1"]) == set(names)
        assert here.holds(service.state)


@scenario
async def test_a_network_that_is_not_programmed_has_no_borders(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        service = EdgeService(None, lambda: LINE, EdgeStore(here.database), LoopClock())
        await service.run()
        assert service.portal_for("10.202.1.10") is None
        for call in (
            service.close_gate("pe1", GATE),
            service.sign_in("10.202.1.10", 60),
            service.offer(VIDEO),
            service.register(FUNCTION, "pe2"),
        ):
            with pytest.raises(NotProgrammed):
                await call
        with pytest.raises(NotProgrammed):
            _ = service.state
