"""The calls that change borders, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from umbel.kit.clock import LoopClock
from umbel.kit.errors import Unavailable
from umbel.network import borders
from umbel.network.access import BadClient, Door, Gate, NoGate
from umbel.network.border_service import NAME, BorderService, NotInAccess, Weave
from umbel.network.borders import Borders
from umbel.network.mobility import Mobile
from umbel.network.model import Link, Program, Topology
from umbel.network.redirection import Service, Surrogate, UnknownService
from umbel.network.sites import Plugs, Site

LINE = Topology(nodes=("pe1", "pe2"), links=(Link(a="pe1", b="pe2"),))
PLUGS = {
    "pe1": Plugs(outside=1, inside=2, inside_mac="02:00:00:00:00:01", toward={"pe2": 10}),
    "pe2": Plugs(outside=1, inside=2, inside_mac="02:00:00:00:00:02", toward={"pe1": 10}),
}
SITES = {
    node: Site(
        node=node,
        ovsdb="unix:/nowhere",
        datapath_id=number,
        underlay={},
        gateway=f"10.202.{number}.1/24",
    )
    for number, node in enumerate(PLUGS, 1)
}
GATE = Gate(front=Door(address="10.97.0.1", port=8000))
VIDEO = Service(
    name="video",
    address="10.204.0.1",
    port=80,
    surrogates=(
        Surrogate(name="a", node="pe1", address="10.97.1.1", port=8080),
        Surrogate(name="b", node="pe2", address="10.97.2.1", port=8080),
    ),
)


class Switches:
    """Hold what they were told last; `away` ones cannot be told now."""

    def __init__(self) -> None:
        self.hold: Mapping[str, Program] = {}
        self.told = 0
        self.away = False

    async def also(self, name: str, weave: Weave | None) -> None:
        assert name == NAME
        assert weave is not None
        self.told += 1
        if self.away:
            raise Unavailable("a switch is away")
        self.hold = weave(PLUGS)


async def ethernet(site: Site, address: str) -> str:
    return "" if address.endswith(".99") else f"02:00:00:00:00:{int(address[-2:]):02x}"


@pytest.fixture
def switches() -> Switches:
    return Switches()


@pytest.fixture
async def service(switches: Switches) -> AsyncIterator[BorderService]:
    made = BorderService(SITES, LINE, switches.also, ethernet, LoopClock())
    await made.start()
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def holds(switches: Switches, state: Borders) -> bool:
    return switches.hold == borders.programs(state, PLUGS)


@pytest.mark.looptime
async def test_sign_ins_end_when_their_time_is_over(
    service: BorderService, switches: Switches
) -> None:
    await service.close_gate("pe1", GATE)
    closed = service.state
    first = await service.sign_in("10.202.1.10", 60)
    assert first.mac == "02:00:00:00:00:0a"
    await asyncio.sleep(30)
    await service.sign_in("10.202.1.11", 60)
    assert holds(switches, service.state)
    await asyncio.sleep(31)
    assert set(service.state.access.clients["pe1"]) == {"10.202.1.11"}
    assert holds(switches, service.state)
    await asyncio.sleep(30)
    assert service.state.access.clients == {"pe1": {}}
    assert holds(switches, closed)
    told = switches.told
    await asyncio.sleep(1000)
    assert switches.told == told


@pytest.mark.looptime
async def test_an_expiry_that_finds_a_switch_away_is_no_end(
    service: BorderService, switches: Switches
) -> None:
    await service.close_gate("pe1", GATE)
    await service.sign_in("10.202.1.10", 60)
    switches.away = True
    await asyncio.sleep(61)
    switches.away = False
    await service.sign_in("10.202.1.11", 60)
    assert set(service.state.access.clients["pe1"]) == {"10.202.1.11"}
    await asyncio.sleep(61)
    assert service.state.access.clients == {"pe1": {}}


async def test_who_is_not_there_cannot_sign_in(service: BorderService) -> None:
    for address in ("10.203.1.10", "192.0.2.1"):
        with pytest.raises(NotInAccess):
            await service.sign_in(address, 60)
    with pytest.raises(NoGate):
        await service.sign_in("10.202.1.10", 60)
    await service.close_gate("pe1", GATE)
    for address in ("10.202.1", "10.202.1.99"):
        with pytest.raises(BadClient):
            await service.sign_in(address, 60)


async def test_every_call_reaches_the_switches(service: BorderService, switches: Switches) -> None:
    await service.close_gate("pe2", GATE)
    await service.sign_in("10.202.2.10", 60)
    await service.sign_out("10.202.2.10")
    assert service.state.access.clients == {"pe2": {}}
    assert (await service.offer(VIDEO)).chosen == {"pe1": "a", "pe2": "b"}
    await service.move("video", "pe1", "b")
    assert service.state.services["video"].chosen["pe1"] == "b"
    assert holds(switches, service.state)
    await service.settle("video")
    function = Mobile(name="f", address="10.202.1.20", mac="02:00:00:00:00:20", home="pe1")
    await service.depart(function, "pe2")
    assert holds(switches, service.state)
    await service.changed(Topology(nodes=LINE.nodes, links=()))
    assert service.state.stays["f"].way == ("pe1", "pe2")
    await service.depart(function, "pe1")
    await service.withdraw("video")
    await service.open_gate("pe2")
    assert service.state == Borders()
    assert holds(switches, Borders())
    with pytest.raises(UnknownService):
        await service.move("video", "pe1", "b")
    assert holds(switches, Borders())


async def test_what_a_switch_could_not_be_told_is_wanted_still(
    service: BorderService, switches: Switches
) -> None:
    switches.away = True
    with pytest.raises(Unavailable):
        await service.close_gate("pe1", GATE)
    switches.away = False
    await service.start()
    assert "pe1" in service.state.access.gates
    assert holds(switches, service.state)
