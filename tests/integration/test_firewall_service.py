"""The firewall of a control plane over guests in memory and a real database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from support import databases
from support.disk_worlds import FakeDiskWorld, started
from support.vim_worlds import until
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.firewall import service as module
from umbel.compute.firewall.model import (
    MOST_RULES_OF_ONE,
    BadFirewallRule,
    NoFirewallThere,
    NoSuchFirewallRule,
    TooManyFirewallRules,
)
from umbel.compute.firewall.service import FirewallService
from umbel.compute.firewall.store import FirewallStore
from umbel.compute.hypervisors.model import NoSuchGuest
from umbel.compute.model import Transport
from umbel.kit.clock import LoopClock
from umbel.kit.db import Database

FRIENDS = ["192.0.2.0/24"]
UDP = Transport.UDP


@dataclass
class Plane:
    database: Database
    world: FakeDiskWorld = field(default_factory=FakeDiskWorld)
    lost: set[str] = field(default_factory=set)

    def service(self) -> FirewallService:
        vim = self.world.vim
        made = FirewallService(
            FirewallStore(self.database),
            lambda _: vim,
            vim.running,
            lambda node: node in self.lost,
            LoopClock(),
        )
        made.serve([vim])
        return made

    def is_open(self, source: str) -> bool:
        (seen,) = self.world.vim._machines.values()
        return self.world.vim.firewall.lets_in(seen.instance.id, source, "udp", seen.ports["udp"])


@pytest.fixture
async def plane(sqlite_url: str) -> AsyncIterator[Plane]:
    database = Database(sqlite_url, durable=False)
    await databases.prepare(database)
    yield Plane(database)
    await database.close()


async def test_rules_are_in_force_again_when_the_guest_is(plane: Plane) -> None:
    service, id_ = plane.service(), plane.world.guest.id
    with pytest.raises(NoSuchGuest):
        await service.add(id_, UDP, "udp", FRIENDS, by="anna")
    await started(plane.world)
    made = await service.add(id_, UDP, "udp", FRIENDS, by="anna")
    assert await service.list(id_) == [made] == await service.list()
    assert await service.list("other") == []
    assert (plane.is_open("192.0.2.7"), plane.is_open("203.0.113.1")) == (True, False)
    await plane.world.vim.stop(id_)
    await started(plane.world)
    assert not plane.is_open("203.0.113.1")  # from its start on
    plane.world.vim.firewall.release(id_)  # somebody removed it there
    assert plane.is_open("203.0.113.1")
    running = asyncio.create_task(service.run())
    await until(lambda: not plane.is_open("203.0.113.1"), what="the rule is in force again")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await service.remove(made.id, by="anna")
    assert plane.is_open("203.0.113.1")
    with pytest.raises(NoSuchFirewallRule):
        await service.remove(made.id, by="anna")


async def test_what_is_no_rule_changes_nothing(plane: Plane) -> None:
    service, id_ = plane.service(), plane.world.guest.id
    await started(plane.world)
    for ports, sources in (("rtmp", FRIENDS), ("0", FRIENDS), ("udp", ["x"]), ("udp", [])):
        with pytest.raises(BadFirewallRule):
            await service.add(id_, UDP, ports, sources, by="anna")
    assert await service.list() == []
    assert plane.is_open("203.0.113.1")
    for _ in range(MOST_RULES_OF_ONE):
        await service.add(id_, UDP, "7", FRIENDS, by="anna")
    with pytest.raises(TooManyFirewallRules, match=id_):
        await service.add(id_, UDP, "udp", FRIENDS, by="anna")
    assert plane.is_open("203.0.113.1")


async def test_rules_go_with_their_function_but_not_with_its_node(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GONE_S", 0.0)
    service, id_ = plane.service(), plane.world.guest.id
    await started(plane.world)
    await service.add(id_, UDP, "udp", FRIENDS, by="anna")
    await plane.world.vim.stop(id_)
    plane.lost.add("pe2")
    await service._reconcile("")
    assert len(await service.list()) == 1
    plane.lost.clear()
    await service._reconcile("")
    assert await service.list() == []


async def test_a_process_has_no_firewall(plane: Plane) -> None:
    other = FakeVim(LoopClock(), boot_s=0.01)
    await started(plane.world)
    service = FirewallService(
        FirewallStore(plane.database),
        lambda _: other,
        plane.world.vim.running,
        lambda _: False,
        LoopClock(),
    )
    with pytest.raises(NoFirewallThere, match="pe2"):
        await service.add(plane.world.guest.id, UDP, "udp", FRIENDS, by="anna")
