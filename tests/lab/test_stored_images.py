"""Images at a real hypervisor: what their contract does not say."""

import hashlib
from pathlib import Path

import pytest

from support.disks import small_disk
from support.libvirt_worlds import INSTALLATION, PATIENT, HypervisorRows
from support.libvirtd import ABSENT, hypervisor, segment
from umbel.compute.drivers.libvirt.context import GuestContext
from umbel.compute.drivers.libvirt.vim import LibvirtVim
from umbel.compute.hypervisors.model import HYPERVISORS_POOL
from umbel.compute.images.folder import Images
from umbel.compute.images.model import PARTS, Image, ImageCorrupt
from umbel.compute.volumes.model import StorageFull
from umbel.kit.clock import SystemClock

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]


async def test_what_is_not_the_image_is_not_kept_as_one(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    for part in PARTS:
        (made / part).write_bytes(part.encode() * 2**20)
    hashes = {part: hashlib.sha256((made / part).read_bytes()).hexdigest() for part in PARTS}
    images, image = Images(tmp_path), Image(name="own", command=(), hashes=hashes)
    images.add(image, made)
    with (
        small_disk(tmp_path_factory.mktemp("d") / "disk", 40) as folder,
        segment() as lan,
        hypervisor("pe1", folder, lan) as real,
    ):
        around = GuestContext(
            installation=INSTALLATION, images=images, clock=SystemClock(), limits=PATIENT
        )
        vim = LibvirtVim(HYPERVISORS_POOL, HypervisorRows(real.hypervisor), around)

        async def upload() -> int:
            return await vim.images.upload("pe1", image, lambda _done, _total: None)

        try:
            right = images.part(image, "initrd").read_bytes()
            images.part(image, "initrd").write_bytes(b"x" + right[1:])
            with pytest.raises(ImageCorrupt, match="initrd"):
                await upload()
            assert [one.is_complete for one in await vim.images.list("pe1")] == [False]
            images.part(image, "initrd").write_bytes(right)
            await vim.disks.create("pe1", "disk_a", 30)
            with pytest.raises(StorageFull, match="MiB"):
                await upload()
            await vim.disks.remove("pe1", "disk_a")
            assert await upload() == 16 * 2**20
            assert [one.is_complete for one in await vim.images.list("pe1")] == [True]
        finally:
            await vim.close()
