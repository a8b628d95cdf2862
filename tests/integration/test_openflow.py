"""The OpenFlow controller and switches that come, go, fall silent and say garbage. Needs os-ken."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from support.openflow_said import header, port_13
from support.waiting import until
from umbel.network.drivers.openflow import frames
from umbel.network.drivers.openflow.controller import Controller
from umbel.network.switching.signals import (
    PortStatus,
    SwitchConnected,
    SwitchDisconnected,
    SwitchEvent,
    SwitchGone,
    UnknownSwitch,
)


class Puppet:
    """A switch of ours that says what the test wants: handshake, and then raw bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int, dpid: int = 0, host: str = "127.0.0.1") -> "Puppet":
        puppet = cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0)))
        if dpid:
            puppet.writer.write(header(4, frames.HELLO, 0, b""))
            await puppet.next()
            features = struct.pack("!QIBB2xII", dpid, 0, 254, 0, 0, 0)
            puppet.writer.write(
                header(4, frames.FEATURES_REPLY, (await puppet.next())[2], features)
            )
            body = struct.pack("!HH4x", frames.PORT_DESC, 0) + port_13(1, 4)
            puppet.writer.write(header(4, frames.MULTIPART_REPLY, (await puppet.next())[2], body))
        return puppet

    async def next(self) -> tuple[int, int, int]:
        """Version, type and xid of the controller's next message."""
        version, kind, length, xid = struct.unpack("!BBHI", await self.reader.readexactly(8))
        await self.reader.readexactly(length - 8)
        return version, kind, xid

    async def echo(self) -> None:
        """Answer echo requests from now on."""
        while True:
            version, kind, xid = await self.next()
            if kind == frames.ECHO_REQUEST:
                self.writer.write(header(version, frames.ECHO_REPLY, xid, b""))

    async def ended(self) -> bool:
        """Whether the controller ends the connection, as opposed to nothing happening."""
        try:
            async with asyncio.timeout(5):
                while await self.reader.read(4096):
                    pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True


class Ground:
    """A controller, what it told, and the puppets at it."""

    def __init__(self, **times_s: Any) -> None:
        self.events: list[SwitchEvent] = []
        self.controller = Controller(self.events.append, **times_s)
        self.port = 0
        self._puppets: list[Puppet] = []

    async def puppet(self, dpid: int = 0, host: str = "127.0.0.1") -> Puppet:
        puppet = await Puppet.connect(self.port, dpid, host)
        self._puppets.append(puppet)
        return puppet

    async def __aenter__(self) -> "Ground":
        self.port = await self.controller.listen("127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.controller.close()
        for puppet in self._puppets:
            puppet.writer.close()
            with contextlib.suppress(ConnectionError):
                await puppet.writer.wait_closed()


@pytest.fixture
async def link_state() -> AsyncIterator[Ground]:
    async with Ground() as made:
        yield made


async def when(condition: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return condition()

    await until(ask)


async def test_a_switch_comes_tells_of_its_ports_and_is_gone_at_once(link_state: Ground) -> None:
    controller, events = link_state.controller, link_state.events
    puppet = await link_state.puppet(0xA)
    await when(lambda: events == [SwitchConnected(dpid=0xA)])
    (only,) = controller.ports(0xA)
    assert (only.number, only.name.rstrip("\0"), only.live) == (1, "gAB", True)
    puppet.writer.write(header(4, frames.ECHO_REQUEST, 77, b"abc"))
    while (message := await puppet.next())[1] != frames.ECHO_REPLY:
        pass
    assert message == (4, frames.ECHO_REPLY, 77)
    puppet.writer.write(header(4, frames.PORT_STATUS, 0, b"\2" + bytes(7) + port_13(1, 0)))
    await when(lambda: len(events) == 2)
    changed = events[1]
    assert isinstance(changed, PortStatus)
    assert not changed.port.live
    waiting = asyncio.create_task(controller.held(0xA))
    while (await puppet.next())[1] != 18:
        pass
    puppet.writer.close()
    with pytest.raises(SwitchGone):
        await waiting
    await when(lambda: events[-1] == SwitchDisconnected(dpid=0xA))
    with pytest.raises(UnknownSwitch):
        await controller.held(0xA)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(64),
        header(4, frames.PORT_STATUS, 0, b"\2"),
        header(4, frames.MULTIPART_REPLY, 0, struct.pack("!HH4x", frames.FLOW, 0) + bytes(56)),
        b"\4\0\0\7\0\0\0\0",
    ],
    ids=["http", "zeros", "short", "standing-still", "length"],
)
async def test_garbage_ends_its_own_connection_only(link_state: Ground, garbage: bytes) -> None:
    controller, events = link_state.controller, link_state.events
    await link_state.puppet(0xA)
    bad = await link_state.puppet(0xB)
    await when(lambda: controller.switches == {0xA, 0xB})
    stranger = await link_state.puppet()
    for puppet in (bad, stranger):
        puppet.writer.write(garbage)
        assert await puppet.ended()
    await when(lambda: events[-1] == SwitchDisconnected(dpid=0xB))
    assert controller.switches == {0xA}


async def test_a_silent_switch_is_let_go() -> None:
    async with Ground(echo_s=0.01, timeout_s=0.3) as link_state:
        assert await (await link_state.puppet()).ended()
        mute = await link_state.puppet(0xA)
        await when(
            lambda: link_state.events == [SwitchConnected(dpid=0xA), SwitchDisconnected(dpid=0xA)]
        )
        assert await mute.ended()


async def test_a_switch_that_comes_again_replaces_itself_when_it_answers_no_more() -> None:
    async with Ground(echo_s=60, timeout_s=0.3) as link_state:
        controller, events = link_state.controller, link_state.events
        first = await link_state.puppet(0xA)  # it answers no echo request
        await when(lambda: len(events) == 1)
        await link_state.puppet(0xA)
        await when(lambda: len(events) == 3)
        assert events == [
            SwitchConnected(dpid=0xA),
            SwitchDisconnected(dpid=0xA),
            SwitchConnected(dpid=0xA),
        ]
        assert await first.ended()
        assert controller.switches == {0xA}


async def test_of_two_that_wait_for_the_place_of_a_silent_switch_one_takes_it() -> None:
    async with Ground(echo_s=60, timeout_s=0.5) as link_state:
        controller, events = link_state.controller, link_state.events
        await link_state.puppet(0xA)  # it answers no echo request
        await when(lambda: len(events) == 1)
        both = [await link_state.puppet(0xA) for _ in range(2)]
        echoing = [asyncio.create_task(one.echo()) for one in both]
        await asyncio.wait(echoing, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        assert [one.done() for one in echoing].count(True) == 1
        assert events == [
            SwitchConnected(dpid=0xA),
            SwitchDisconnected(dpid=0xA),
            SwitchConnected(dpid=0xA),
        ]
        assert controller.switches == {0xA}
        for one in echoing:
            one.cancel()
        await asyncio.gather(*echoing, return_exceptions=True)


async def test_who_names_the_id_of_a_switch_that_answers_does_not_take_its_place() -> None:
    async with Ground(echo_s=0.05) as link_state:
        controller, events = link_state.controller, link_state.events
        first = await link_state.puppet(0xA)
        echoing = asyncio.create_task(first.echo())
        await when(lambda: len(events) == 1)
        assert await (await link_state.puppet(0xA)).ended()
        assert events == [SwitchConnected(dpid=0xA)]
        assert controller.switches == {0xA}
        echoing.cancel()
        await asyncio.gather(echoing, return_exceptions=True)


async def test_a_switch_at_its_own_address_replaces_whoever_took_its_place() -> None:
    async with Ground(echo_s=60, home=lambda _dpid: "127.0.0.2") as link_state:
        events = link_state.events
        stranger = await link_state.puppet(0xA)
        await when(lambda: len(events) == 1)
        await link_state.puppet(0xA, "127.0.0.2")
        await when(lambda: len(events) == 3)
        assert await stranger.ended()
        assert await (await link_state.puppet(0xA)).ended()
        assert len(events) == 3


async def test_strangers_at_the_switches_port_make_room_for_each_other() -> None:
    async with Ground(echo_s=60, timeout_s=60) as link_state:
        switch = await link_state.puppet(0xA)
        await when(lambda: len(link_state.events) == 1)
        crowd = [await link_state.puppet() for _ in range(65)]
        assert await crowd[0].ended()
        assert not crowd[-1].reader.at_eof()
        assert link_state.controller.switches == {0xA}
        assert not switch.reader.at_eof()
