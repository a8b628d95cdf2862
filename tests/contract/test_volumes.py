"""What every VIM that keeps disks for volumes does, by the same words for all of them."""

from collections.abc import AsyncIterator

import pytest

from support import libvirtd
from support.disk_worlds import DiskWorld, FakeDiskWorld, GuestDiskWorld, started
from support.libvirt_worlds import libvirt_world
from umbel.compute.hypervisors.model import NoSuchGuest
from umbel.compute.volumes.model import (
    MOST_AT_A_GUEST,
    GuestHasSnapshots,
    NoSuchDisk,
    TooManyVolumes,
    VolumeAttached,
    VolumesAttached,
)
from umbel.compute.volumes.ports import KeepsDisks

LIBVIRTD = pytest.mark.skipif(bool(libvirtd.ABSENT), reason=libvirtd.ABSENT)
REAL_GUESTS = pytest.param("libvirt", marks=[pytest.mark.lab, pytest.mark.timeout(600), LIBVIRTD])


@pytest.fixture(params=["fake", REAL_GUESTS])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[DiskWorld]:
    """Nothing runs yet, and there is no disk; none is left afterwards."""
    if request.param == "fake":
        yield FakeDiskWorld()
        return
    ground = request.getfixturevalue("two_hypervisors")
    async with libvirt_world(ground) as guests:
        made = GuestDiskWorld(guests, ground.b)
        yield made
        for disk in made.disks():
            for function_id in await made.vim.running():
                await made.vim.stop(function_id)
            await made.vim.disks.remove(made.node.name, disk)
        assert made.disks() == []


async def test_disks_come_are_copied_and_go(world: DiskWorld) -> None:
    assert isinstance(world.vim, KeepsDisks)
    disks, node = world.vim.disks, world.node.name
    for _ in range(2):
        await disks.create(node, "disk_a", 2)
    assert await world.read("disk_a") == ""
    await world.write("disk_a", "x")
    await disks.create(node, "disk_a", 2)
    await disks.copy(node, "disk_a", "disk_b")
    await world.write("disk_a", "y")
    assert (await world.read("disk_a"), await world.read("disk_b")) == ("y", "x")
    await disks.copy(node, "disk_a", "disk_b")
    assert await world.read("disk_b") == "y"
    for _ in range(2):
        await disks.remove(node, "disk_a")
    assert world.disks() == ["disk_b"]
    with pytest.raises(NoSuchDisk):
        await disks.copy(node, "disk_a", "disk_c")
    with pytest.raises(NoSuchGuest):
        await disks.attach("disk_b", world.guest.id)
    await disks.detach("disk_b", world.guest.id)
    await disks.remove(node, "disk_b")


async def test_a_guest_has_a_disk_that_outlives_it(world: DiskWorld) -> None:
    disks, node, id_ = world.vim.disks, world.node.name, world.guest.id
    await disks.create(node, "disk_a", 2)
    await world.write("disk_a", "x")
    await started(world)
    with pytest.raises(NoSuchDisk):
        await disks.attach("disk_z", id_)
    for _ in range(2):
        await disks.attach("disk_a", id_)
        assert await disks.attached(node) == {"disk_a": id_}
    assert await world.read_inside("disk_a") == "x"
    await world.write("disk_a", "y")
    await disks.copy(node, "disk_a", "disk_b")
    await world.write("disk_a", "z")
    assert await world.read_inside("disk_a") == "z"
    with pytest.raises(VolumeAttached):
        await disks.remove(node, "disk_a")
    with pytest.raises(VolumesAttached):
        await world.vim.snapshot(id_, "first")
    await world.vim.stop(id_)
    assert await disks.attached(node) == {}
    assert (await world.read("disk_a"), await world.read("disk_b")) == ("z", "y")
    await disks.remove(node, "disk_a")
    assert world.disks() == ["disk_b"]


async def test_a_guest_releases_disks(world: DiskWorld) -> None:
    disks, node, id_ = world.vim.disks, world.node.name, world.guest.id
    await started(world)
    names = [f"disk_{number}" for number in range(MOST_AT_A_GUEST + 1)]
    for name in names:
        await disks.create(node, name, 1)
    for name in names[:-1]:
        await disks.attach(name, id_)
    with pytest.raises(TooManyVolumes):
        await disks.attach(names[-1], id_)
    for _ in range(2):
        await disks.detach(names[2], id_)
    assert await disks.attached(node) == dict.fromkeys([*names[:2], *names[3:-1]], id_)
    await disks.attach(names[-1], id_)
    for name in names:
        await disks.detach(name, id_)
    assert await disks.attached(node) == {}
    await world.vim.snapshot(id_, "first")
    with pytest.raises(GuestHasSnapshots):
        await disks.attach(names[0], id_)
