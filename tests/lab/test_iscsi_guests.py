"""A guest whose disk is a logical unit of an iSCSI target, which QEMU reaches by itself."""

from dataclasses import replace
from pathlib import Path

import pytest

from support import iscsi
from support.libvirt_worlds import Ground
from support.libvirtd import ABSENT
from support.moving_worlds import moving_guests
from support.vim_worlds import OWNER, settled, until_state
from umbel.compute.hypervisors.model import GuestOnLun, HypervisorFailed
from umbel.compute.model import FunctionState, MoveKind

pytestmark = [
    pytest.mark.lab,
    pytest.mark.clouds,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
    pytest.mark.skipif(bool(iscsi.ABSENT), reason=iscsi.ABSENT),
]


async def test_a_guest_moves_and_its_disk_stays(two_hypervisors: Ground, tmp_path: Path) -> None:
    below, image = two_hypervisors, two_hypervisors.images.get("relay")
    disk = below.images.part(image, "disk").read_bytes()
    size_mb = len(disk) // 2**20 + 8
    with iscsi.target(below.a.host_address, tmp_path, 2, size_mb) as target:
        async with moving_guests(iscsi.at_target(below, target)) as world:
            vim, id_, unit = world.vim, world.edge.id, target.files[1]
            await vim.start(OWNER, world.edge, world.pe2)
            before = settled(await until_state(vim, id_, FunctionState.ACTIVE))
            assert unit.read_bytes()[: len(disk)][-1024:] == disk[-1024:]
            assert [name for name in world.left("pe2") if name.endswith(".disk")] == []
            with pytest.raises(GuestOnLun):
                await vim.snapshot(id_, "first")
            result = await vim.move(world.edge, world.pe1, MoveKind.SHARED_STORAGE)
            assert result.copied_mb > 0
            after = settled((await vim.running())[id_])
            assert after == replace(before, node="pe1")
            assert world.running_at(id_) == ["pe1"]
            assert list(world.left("pe2")) == []
            await until_state(vim, id_, FunctionState.ACTIVE)
            await vim.stop(id_)
            assert not any(target.files[0].read_bytes()[:4096])  # pe1's own unit was not touched


async def test_a_unit_that_is_too_small_starts_nothing(
    two_hypervisors: Ground, tmp_path: Path
) -> None:
    below = two_hypervisors
    with iscsi.target(below.a.host_address, tmp_path, 2, 1) as target:
        async with moving_guests(iscsi.at_target(below, target)) as world:
            with pytest.raises(HypervisorFailed, match="cannot be used"):
                await world.vim.start(OWNER, world.edge, world.pe2)
            assert await world.vim.running() == {}
