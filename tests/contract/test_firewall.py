"""What every VIM that filters what reaches its guests does, by the same words for all of them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import pytest

from support import libvirtd
from support.libvirt_worlds import LibvirtWorld
from support.libvirtd import more_address
from support.moving_worlds import moving_guests
from support.vim_worlds import OWNER, FakeWorld, until, until_state
from umbel.compute.drivers.fake import FakeGuestVim
from umbel.compute.firewall.model import BadFirewallRule, FirewallRule
from umbel.compute.firewall.ports import FiltersTraffic, TrafficFilter
from umbel.compute.hypervisors.model import NoSuchGuest
from umbel.compute.model import Function, FunctionState, Instance, MoveKind, Node, Transport
from umbel.compute.ports import Migrates, Vim
from umbel.kit.clock import LoopClock

LIBVIRTD = pytest.mark.skipif(bool(libvirtd.ABSENT), reason=libvirtd.ABSENT)
REAL_GUESTS = pytest.param("libvirt", marks=[pytest.mark.lab, pytest.mark.timeout(600), LIBVIRTD])
_ANSWER_S = 0.3


class FilteringVim(Vim, Migrates, FiltersTraffic, Protocol):
    """A VIM that filters and moves."""


class FirewallWorld(Protocol):
    """`guest` runs at `node`, and moves to `other`. Two sources send to it."""

    guest: Function
    node: Node
    other: Node
    friend: str
    stranger: str

    @property
    def vim(self) -> FilteringVim: ...

    async def is_answered(self, seen: Instance, source: str, transport: Transport) -> bool:
        """Whether the guest answers a packet of the source: at its port `udp`, or by a TCP
        connection to `http`."""


class FakeFirewallWorld:
    friend, stranger = "192.0.2.1", "192.0.2.101"

    def __init__(self) -> None:
        apart = FakeWorld()
        self.guest, self.node, self.other = apart.edge, apart.pe2, apart.pe1
        self.vim = FakeGuestVim(LoopClock(), boot_s=0.05)

    async def is_answered(self, seen: Instance, source: str, transport: Transport) -> bool:
        port = seen.ports["udp" if transport is Transport.UDP else "http"]
        return self.vim.firewall.lets_in(seen.id, source, transport.value, port)


@dataclass
class GuestFirewallWorld:
    below: LibvirtWorld
    friend: str
    stranger: str

    def __post_init__(self) -> None:
        senders = {"UMBEL_SENDERS": f"{self.friend} {self.stranger}"}
        edge = self.below.edge
        self.guest = replace(edge, environment={**edge.environment, **senders})
        self.node, self.other = self.below.pe2, self.below.pe1
        self.vim = self.below.vim

    async def is_answered(self, seen: Instance, source: str, transport: Transport) -> bool:
        ask = _udp if transport is Transport.UDP else _tcp
        port = seen.ports["udp" if transport is Transport.UDP else "http"]
        tries = [await asyncio.to_thread(ask, source, seen.address, port) for _ in range(3)]
        return any(tries)


def _udp(source: str, address: str, port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as one:
        one.bind((source, 0))
        one.settimeout(_ANSWER_S)
        one.sendto(b"hello", (address, port))
        with suppress(TimeoutError):
            return one.recv(100) == b"hello"
    return False


def _tcp(source: str, address: str, port: int) -> bool:
    with closing(socket.socket()) as one:
        one.bind((source, 0))
        one.settimeout(_ANSWER_S)
        with suppress(TimeoutError):
            one.connect((address, port))
            return True
    return False


@pytest.fixture(params=["fake", REAL_GUESTS])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[FirewallWorld]:
    if request.param == "fake":
        yield FakeFirewallWorld()
        return
    ground = request.getfixturevalue("two_hypervisors")
    with more_address(ground.a) as stranger:
        async with moving_guests(ground) as guests:
            yield GuestFirewallWorld(guests, ground.a.host_address, stranger)
            for real in (ground.a, ground.b):
                for id_ in await guests.vim.running():
                    await guests.vim.stop(id_)
                assert real.filters() == []


def rule(world: FirewallWorld, transport: Transport, ports: str, *sources: str) -> FirewallRule:
    return FirewallRule(
        id=f"fw_{transport.value}",
        function=world.guest.id,
        node=world.node.name,
        transport=transport,
        ports=ports,
        sources=sources,
    )


async def started(world: FirewallWorld) -> Instance:
    await world.vim.start(OWNER, world.guest, world.node)
    seen = await until_state(world.vim, world.guest.id, FunctionState.ACTIVE)
    await until_answered(world, seen, world.friend)
    return seen


async def until_answered(world: FirewallWorld, seen: Instance, source: str) -> None:
    """UDP and TCP are answered: a guest may need a moment until it is found."""
    for transport in Transport:

        async def answers(transport: Transport = transport) -> bool:
            return await world.is_answered(seen, source, transport)

        await until(answers, what=f"{transport.value} from {source} is answered")


async def check(world: FirewallWorld, seen: Instance, *closed: tuple[str, str]) -> None:
    """Who is named there is not answered, and all others are: a guest is slow on a busy machine."""
    for who, source in (("friend", world.friend), ("stranger", world.stranger)):
        for transport in Transport:
            asked = partial(world.is_answered, seen, source, transport)
            if (who, transport.value) in closed:
                assert not await asked(), (who, transport)
            else:
                await until(asked, what=f"{transport.value} from the {who} is answered")


async def test_rules_close_ports_until_the_guest_is_gone(world: FirewallWorld) -> None:
    at: TrafficFilter = world.vim.firewall
    id_, friend = world.guest.id, f"{world.friend}/32"
    udp = rule(world, Transport.UDP, "udp", friend)
    tcp = rule(world, Transport.TCP, "1-65535", friend)
    with pytest.raises(NoSuchGuest):
        await at.apply(id_, [udp])
    seen = await started(world)
    await check(world, seen)
    assert await at.is_applied(id_, [])
    for rules, closed in (
        ([udp], [("stranger", "udp")]),
        ([udp, tcp], [("stranger", "udp"), ("stranger", "tcp")]),
        ([replace(tcp, sources=(friend, f"{world.stranger}/32"))], []),
        ([tcp], [("stranger", "tcp")]),
    ):
        assert not await at.is_applied(id_, rules)
        await at.apply(id_, rules)
        assert await at.is_applied(id_, rules)
        await check(world, seen, *closed)
    with pytest.raises(BadFirewallRule, match="rtmp"):
        await at.apply(id_, [rule(world, Transport.TCP, "rtmp", friend)])
    await world.vim.move(world.guest, world.other, MoveKind.FULL_TRANSFER)
    await until_answered(world, seen, world.friend)
    assert await at.is_applied(id_, [tcp])
    await check(world, seen, ("stranger", "tcp"))
    await at.apply(id_, [])
    assert await at.is_applied(id_, [])
    await until_answered(world, seen, world.stranger)


async def test_a_guest_begins_with_its_rules(world: FirewallWorld) -> None:
    udp = rule(world, Transport.UDP, "udp", f"{world.friend}/32")

    async def rules_of(function_id: str) -> Sequence[FirewallRule]:
        return [udp] if function_id == world.guest.id else []

    world.vim.firewall.rules_of = rules_of
    seen = await started(world)
    assert await world.vim.firewall.is_applied(seen.id, [udp])
    await check(world, seen, ("stranger", "udp"))
