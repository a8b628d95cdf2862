"""What every fabric does, by the same words for all of them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Protocol

import pytest

from support import switchboard
from umbel.kit.clock import SystemClock
from umbel.network.drivers.fake.fabric import FakeFabric
from umbel.network.drivers.loopback import LoopbackFabric
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.settings import OpenFlowSettings
from umbel.network.model import Endpoint, Hop, Link, Topology
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.ports import Fabric

LINE = Topology(nodes=("pe1", "c1", "pe2"), links=(Link(a="pe1", b="c1"), Link(a="c1", b="pe2")))


class World(Protocol):
    @property
    def fabric(self) -> Fabric: ...

    async def arrives(self, stream: str, hop: Hop, sent_to: Endpoint) -> bool:
        """Whether a packet of the stream, sent to where the fabric said, reaches the target, once
        and no other port of its."""


class FakeWorld:
    def __init__(self) -> None:
        self.fabric = FakeFabric(LINE)

    async def arrives(self, stream: str, hop: Hop, sent_to: Endpoint) -> bool:
        return sent_to == hop.target and self.fabric.route(stream, hop) is not None


class LoopbackWorld:
    """Sends real datagrams to real sockets at the targets."""

    def __init__(self) -> None:
        self.fabric = LoopbackFabric()
        self.sockets: dict[int, socket.socket] = {}

    async def arrives(self, stream: str, hop: Hop, sent_to: Endpoint) -> bool:
        target = self.sockets[hop.target.port]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
            source.bind(("127.0.1.1", 0))
            source.sendto(stream.encode(), (sent_to.address, sent_to.port))
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60):
            return await loop.sock_recv(target, 100) == stream.encode()


class OpenFlowWorld:
    """Switches in memory, their bridges and their controller's end."""

    def __init__(self) -> None:
        links = tuple((link.a, link.b) for link in LINE.links)
        drawing = Drawing(roles=dict.fromkeys(LINE.nodes, Role.LEAF), links=links)
        self.world = switchboard.World(switchboard.sites(LINE.nodes, links))
        self.fabric = OpenFlowFabric(
            self.world.sites,
            drawing,
            switchboard.MemoryBridges(self.world),
            self.world.board,
            OpenFlowSettings(host="127.0.0.1"),
            SystemClock(),
        )

    async def arrives(self, stream: str, hop: Hop, sent_to: Endpoint) -> bool:
        got, _ = self.world.send(hop.source_node, sent_to)
        assert set(got.values()) <= {1}
        return (hop.target.node, hop.target.address, hop.target.port) in got


@contextmanager
def targets() -> Iterator[dict[int, socket.socket]]:
    opened = {}
    try:
        for _ in range(2):
            taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            taker.setblocking(False)
            taker.bind(("127.0.2.1", 0))
            opened[taker.getsockname()[1]] = taker
        yield opened
    finally:
        for taker in opened.values():
            taker.close()


@pytest.fixture(params=["fake", "loopback", "openflow"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[tuple[World, list[Hop]]]:
    with targets() as sockets:
        ends = [Endpoint(node="pe2", address="127.0.2.1", port=port) for port in sockets]
        hops = [Hop(source_node="pe1", target=end) for end in ends]
        if request.param == "fake":
            yield FakeWorld(), hops
        elif request.param == "openflow":
            switches = OpenFlowWorld()
            await switches.fabric.start()
            yield switches, hops
            await switches.fabric.close()
        else:
            real = LoopbackWorld()
            real.sockets = sockets
            yield real, hops


async def test_every_hop_is_answered_and_its_packets_arrive(
    world: tuple[World, list[Hop]],
) -> None:
    made, hops = world
    answer = await made.fabric.ensure("ev_1", hops)
    assert set(answer) == set(hops)
    for hop in hops:
        assert await made.arrives("ev_1", hop, answer[hop])


async def test_where_the_network_copies_all_hops_have_one_address(
    world: tuple[World, list[Hop]],
) -> None:
    made, hops = world
    answer = await made.fabric.ensure("ev_1", hops)
    ends = {(end.address, end.port) for end in answer.values()}
    assert len(ends) == (1 if made.fabric.copies else len(hops))


async def test_twice_is_once(world: tuple[World, list[Hop]]) -> None:
    made, hops = world
    first = await made.fabric.ensure("ev_1", hops)
    assert await made.fabric.ensure("ev_1", hops) == first
    assert await made.arrives("ev_1", hops[0], first[hops[0]])


async def test_a_stream_is_carried_over_exactly_the_last_hops(
    world: tuple[World, list[Hop]],
) -> None:
    made, hops = world
    await made.fabric.ensure("ev_1", hops[:1])
    answer = await made.fabric.ensure("ev_1", hops[1:])
    assert set(answer) == {hops[1]}
    assert await made.arrives("ev_1", hops[1], answer[hops[1]])


async def test_streams_do_not_touch_each_other(world: tuple[World, list[Hop]]) -> None:
    made, hops = world
    mine = await made.fabric.ensure("ev_1", hops[:1])
    await made.fabric.ensure("ev_2", hops[1:])
    await made.fabric.remove("ev_2")
    assert await made.arrives("ev_1", hops[0], mine[hops[0]])


async def test_no_hops_is_no_error(world: tuple[World, list[Hop]]) -> None:
    made, _ = world
    assert await made.fabric.ensure("ev_1", []) == {}


async def test_removing_minds_nothing_unknown_and_can_be_undone(
    world: tuple[World, list[Hop]],
) -> None:
    made, hops = world
    await made.fabric.remove("never-heard-of")
    await made.fabric.ensure("ev_1", hops)
    await made.fabric.remove("ev_1")
    await made.fabric.remove("ev_1")
    again = await made.fabric.ensure("ev_1", hops)
    assert await made.arrives("ev_1", hops[0], again[hops[0]])
