"""Volumes of real hypervisors: what their contract does not say."""

from pathlib import Path

import pytest

from support.disk_worlds import GuestDiskWorld, started
from support.disks import small_disk
from support.libvirt_worlds import INSTALLATION, PATIENT, Ground, HypervisorRows, node_of
from support.libvirtd import ABSENT, hypervisor, segment
from support.moving_worlds import moving_guests
from umbel.compute.drivers.libvirt.context import GuestContext
from umbel.compute.drivers.libvirt.vim import LibvirtVim
from umbel.compute.hypervisors.model import HYPERVISORS_POOL, HypervisorInUse
from umbel.compute.images.folder import Images
from umbel.compute.model import MoveKind
from umbel.compute.ports import CannotRun
from umbel.compute.volumes.model import NoSuchDisk, StorageFull
from umbel.kit.clock import SystemClock

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]


async def test_a_full_disk_refuses_a_volume_and_leaves_nothing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        small_disk(tmp_path_factory.mktemp("d") / "disk", 48) as folder,
        segment() as lan,
        hypervisor("pe1", folder, lan) as real,
    ):
        around = GuestContext(
            installation=INSTALLATION,
            images=Images(tmp_path / "images"),
            clock=SystemClock(),
            limits=PATIENT,
        )
        vim = LibvirtVim(HYPERVISORS_POOL, HypervisorRows(real.hypervisor), around)
        try:
            node, disks = node_of(real.hypervisor).name, vim.disks
            await disks.create(node, "disk_a", 30)
            for _ in range(2):
                with pytest.raises(StorageFull, match="30 MiB"):
                    await disks.create(node, "disk_b", 30)
                with pytest.raises(StorageFull, match="30 MiB"):
                    await disks.copy(node, "disk_a", "disk_b")
            files = [path.name for path in Path(real.hypervisor.folder).glob("volume.*")]
            assert files == ["volume.disk_a.raw"]
            await disks.remove(node, "disk_a")
            await disks.create(node, "disk_b", 30)
        finally:
            await vim.close()


async def test_a_volume_goes_along_where_both_have_its_folder(
    two_hypervisors: Ground, tmp_path: Path
) -> None:
    async with moving_guests(two_hypervisors, tmp_path) as world:
        here = GuestDiskWorld(world, world.ground.b)
        disks, id_ = world.vim.disks, world.edge.id
        await disks.create("pe2", "disk_a", 2)
        await here.write("disk_a", "x")
        await started(here)
        await disks.attach("disk_a", id_)
        assert await here.read_inside("disk_a") == "x"
        await world.vim.move(world.edge, world.pe1, MoveKind.SHARED_STORAGE)
        assert (await disks.attached("pe1"), await disks.attached("pe2")) == ({"disk_a": id_}, {})
        there = GuestDiskWorld(world, world.ground.a)
        await there.write("disk_a", "y")
        assert await there.read_inside("disk_a") == "y"
        await disks.detach("disk_a", id_)
        assert await disks.attached("pe1") == {}
        await world.vim.stop(id_)
        await world.clear("pe1")
        assert await here.read("disk_a") == "y"  # pe1 has gone, and pe2's data are there
        await disks.remove("pe2", "disk_a")


async def test_a_guest_with_a_volume_is_not_moved_away_from_it(two_hypervisors: Ground) -> None:
    async with moving_guests(two_hypervisors) as world:
        here = GuestDiskWorld(world, world.ground.b)
        await world.vim.disks.create("pe2", "disk_a", 2)
        await started(here)
        await world.vim.disks.attach("disk_a", world.edge.id)
        with pytest.raises(CannotRun, match="detach"):
            await world.vim.move(world.edge, world.pe1, MoveKind.FULL_TRANSFER)
        assert world.running_at(world.edge.id) == ["pe2"]
        with pytest.raises(HypervisorInUse):
            await world.clear("pe2")
        await world.vim.disks.create("pe1", "disk_b", 2)
        with pytest.raises(NoSuchDisk):
            await world.vim.disks.attach("disk_b", world.edge.id)
        await world.vim.stop(world.edge.id)
        await world.vim.disks.remove("pe2", "disk_a")
        await world.vim.disks.remove("pe1", "disk_b")
