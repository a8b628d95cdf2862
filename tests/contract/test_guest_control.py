"""What every VIM with guests also does, by the same words for all of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, cast

import pytest

from support import libvirtd, openstack_cloud
from support.libvirt_worlds import libvirt_world
from support.openstack_worlds import openstack_world
from support.vim_worlds import OWNER, FakeWorld, until_state
from umbel.compute.drivers.fake import FakeGuestVim
from umbel.compute.hypervisors.model import (
    MOST_SNAPSHOTS,
    NoSuchGuest,
    NoSuchSnapshot,
    SnapshotExists,
    TooManySnapshots,
)
from umbel.compute.model import Function, FunctionState, Node
from umbel.compute.ports import GuestControl, KeepsSnapshots, Vim
from umbel.kit.clock import LoopClock

LIBVIRTD = pytest.mark.skipif(bool(libvirtd.ABSENT), reason=libvirtd.ABSENT)
REAL_GUESTS = pytest.param("libvirt", marks=[pytest.mark.lab, pytest.mark.timeout(600), LIBVIRTD])


REAL_SERVERS = pytest.param(
    "openstack",
    marks=[
        pytest.mark.clouds,
        pytest.mark.timeout(900),
        pytest.mark.skipif(bool(openstack_cloud.ABSENT), reason=openstack_cloud.ABSENT),
    ],
)


class GuestVim(Vim, GuestControl, KeepsSnapshots, Protocol):
    """A VIM with guests."""


@dataclass(frozen=True, kw_only=True)
class GuestWorld:
    vim: GuestVim
    guest: Function
    node: Node

    async def is_suspended(self) -> bool:
        return (await self.vim.running())[self.guest.id].is_suspended

    async def names(self) -> list[str]:
        return [one.name for one in await self.vim.snapshots(self.guest.id)]


@pytest.fixture(params=["fake", REAL_GUESTS])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[GuestWorld]:
    """A guest that runs."""
    if request.param == "fake":
        apart = FakeWorld()
        fake = FakeGuestVim(LoopClock(), boot_s=0.05)
        made = GuestWorld(vim=fake, guest=apart.edge, node=apart.pe2)
        await started(made)
        yield made
        return
    if request.param == "openstack":  # it keeps no snapshots
        async with openstack_world(request.getfixturevalue("two_computes")) as servers:
            vim = cast("GuestVim", servers.vim)
            made = GuestWorld(vim=vim, guest=servers.edge, node=servers.pe2)
            await started(made)
            yield made
        return
    async with libvirt_world(request.getfixturevalue("two_hypervisors")) as guests:
        made = GuestWorld(vim=guests.vim, guest=guests.edge, node=guests.pe2)
        await started(made)
        yield made


async def started(world: GuestWorld) -> None:
    await world.vim.start(OWNER, world.guest, world.node)
    await until_state(world.vim, world.guest.id, FunctionState.ACTIVE)


@pytest.mark.parametrize("world", ["fake", REAL_GUESTS, REAL_SERVERS], indirect=True)
async def test_a_guest_is_suspended_and_resumed_however_often_it_is_asked(
    world: GuestWorld,
) -> None:
    assert not await world.is_suspended()
    for _ in range(2):
        await world.vim.suspend(world.guest.id)
        assert await world.is_suspended()
    seen = (await world.vim.running())[world.guest.id]
    assert seen.state is FunctionState.ACTIVE
    for _ in range(2):
        await world.vim.resume(world.guest.id)
        assert not await world.is_suspended()


async def test_snapshots_are_kept_listed_and_removed(world: GuestWorld) -> None:
    vim, id_ = world.vim, world.guest.id
    assert await world.names() == []
    await vim.snapshot(id_, "first")
    await vim.suspend(id_)
    await vim.snapshot(id_, "asleep")
    assert await world.names() == ["first", "asleep"]
    first, second = await vim.snapshots(id_)
    assert 1_600_000_000 < first.taken_s <= second.taken_s
    with pytest.raises(SnapshotExists, match="first"):
        await vim.snapshot(id_, "first")
    await vim.revert(id_, "first")
    assert not await world.is_suspended()
    await vim.revert(id_, "asleep")
    assert await world.is_suspended()
    await vim.remove_snapshot(id_, "first")
    assert await world.names() == ["asleep"]
    for lost in (vim.revert, vim.remove_snapshot):
        with pytest.raises(NoSuchSnapshot, match="first"):
            await lost(id_, "first")


async def test_snapshots_and_the_guest_go_together(world: GuestWorld) -> None:
    vim, id_ = world.vim, world.guest.id
    await vim.snapshot(id_, "first")
    await vim.stop(id_)
    for absent in (vim.suspend, vim.resume, vim.console, vim.snapshots):
        with pytest.raises(NoSuchGuest):
            await absent(id_)
    await started(world)
    assert await world.names() == []


@pytest.mark.parametrize("world", ["fake"], indirect=True)
async def test_a_guest_has_so_many_snapshots_at_most(world: GuestWorld) -> None:
    for number in range(MOST_SNAPSHOTS):
        await world.vim.snapshot(world.guest.id, f"s{number}")
    with pytest.raises(TooManySnapshots, match="remove one"):
        await world.vim.snapshot(world.guest.id, "more")
    await world.vim.remove_snapshot(world.guest.id, "s0")
    await world.vim.snapshot(world.guest.id, "more")
