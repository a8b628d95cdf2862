"""Guests move under traffic, by rows of mobility: real libvirtd and QEMU, a real probe."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.guest_moves import (
    GuestPlane,
    Surroundings,
    another_process,
    guest_plane,
    probing,
    while_it_runs,
)
from support.libvirt_worlds import Ground
from support.libvirtd import ABSENT
from support.moving_worlds import MovingGuests, moving_guests
from support.vim_worlds import until_state
from umbel.compute.model import FunctionState
from umbel.mobility.model import Json, MigrationState

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]


@pytest.fixture
async def world(two_hypervisors: Ground) -> AsyncIterator[MovingGuests]:
    async with moving_guests(two_hypervisors) as made:
        yield made


@pytest.fixture
async def plane(world: MovingGuests, tmp_path: Path) -> AsyncIterator[GuestPlane]:
    async with guest_plane(Surroundings.of(world, tmp_path), "cp-1") as made:
        made.run()
        yield made


def figure(of: Json | None, name: str) -> float:
    """A figure that is there; 0 where it is not known yet."""
    found = (of or {}).get(name, 0.0)
    assert isinstance(found, int | float)
    return found


async def test_packets_pass_a_guest_that_moves(plane: GuestPlane, world: MovingGuests) -> None:
    guest = await plane.guest()
    async with probing(guest) as found:
        over = await plane.moved("pe1")
    probed = await found
    assert (over.state, over.reason) == (MigrationState.COMMITTED, "")
    assert world.running_at(guest.id) == ["pe1"]
    assert plane.guests.rows[guest.id].node == "pe1"
    assert world.left("pe2") == []
    assert (await plane.vim.running())[guest.id].started_s == guest.started_s
    assert not probed.is_silent
    assert figure(over.achieved, "gap_s") > 0


async def test_little_of_a_disk_travels_where_its_image_is(
    plane: GuestPlane, world: MovingGuests
) -> None:
    """Memory and disk, as the device between the hypervisors counts them."""
    guest = await plane.guest()
    there = await plane.moved("pe1")  # with the image, which is on both afterwards
    assert figure(there.achieved, "disk_mb") > plane.disk_mb
    before = world.ground.a.copied_bytes()
    back = await plane.moved("pe2")
    counted_mb = (world.ground.a.copied_bytes() - before) / 2**20
    assert back.state is MigrationState.COMMITTED
    assert figure(back.achieved, "disk_mb") <= plane.disk_mb / 10
    copied_mb = figure(back.achieved, "copied_mb")
    assert 0.9 * copied_mb < counted_mb < 1.2 * copied_mb
    assert world.running_at(guest.id) == ["pe2"]


async def test_a_migration_that_is_cancelled_leaves_the_guest_where_it_was(
    plane: GuestPlane, world: MovingGuests
) -> None:
    guest = await plane.guest()
    world.slow_copies()
    async with probing(guest) as found:
        begun = await plane.ask("pe1")
        await plane.until(begun, lambda one: figure(one.progress, "copied_mb") > 0)
        await plane.mobility.cancel(begun.id, by="bert")
        over = await plane.until(begun, lambda one: one.is_over)
    assert (over.state, over.reason) == (MigrationState.ABORTED, "cancelled by bert")
    assert world.running_at(guest.id) == ["pe2"]
    assert await asyncio.to_thread(world.left, "pe1") == []
    assert (await plane.vim.running())[guest.id].started_s == guest.started_s
    assert not (await found).is_silent


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_control_plane_that_is_killed_in_the_middle_leaves_one_guest(
    world: MovingGuests, tmp_path: Path, *, is_cancelled: bool
) -> None:
    around = Surroundings.of(world, tmp_path)
    async with guest_plane(around, "next") as plane:
        plane.guests.rows[around.edge.id] = around.edge
        async with another_process(around) as killed:
            starting = until_state(plane.vim, around.edge.id, FunctionState.ACTIVE, within_s=300)
            guest = await while_it_runs(killed, starting)
            world.slow_copies()
            begun = await plane.note("pe1")
            await plane.until(begun, lambda one: figure(one.progress, "copied_mb") > 0)
            killed.kill()
        if is_cancelled:
            await plane.mobility.store.cancel(
                begun.id, by="bert", at_s=plane.mobility.clock.now_s()
            )
        plane.run()
        async with probing(guest) as found:  # it stands still until somebody takes over
            over = await plane.until(begun, lambda one: one.is_over)
        at, left = ("pe2", "pe1") if is_cancelled else ("pe1", "pe2")
        ended = MigrationState.ABORTED if is_cancelled else MigrationState.COMMITTED
        assert over.state is ended, over.reason
        assert await asyncio.to_thread(world.running_at, guest.id) == [at]
        assert await asyncio.to_thread(world.left, left) == []
        assert (await plane.vim.running())[guest.id].started_s == guest.started_s
        assert not (await found).is_silent


async def test_a_disk_that_is_at_the_target_already_is_not_written_over(
    plane: GuestPlane, world: MovingGuests
) -> None:
    guest = await plane.guest()
    folder = Path(world.rows.hypervisors["pe1"].folder)
    folder.mkdir(parents=True, exist_ok=True)
    disk = folder / f"guest.{guest.id}.disk"
    disk.write_bytes(b"somebody needs this")
    over = await plane.moved("pe1")
    assert over.state is MigrationState.ABORTED
    assert f"pe1 has guest.{guest.id}.disk already" in over.reason
    assert disk.read_bytes() == b"somebody needs this"
    assert world.running_at(guest.id) == ["pe2"]
    disk.unlink()
