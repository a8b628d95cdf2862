"""What every VIM that keeps images at its nodes does, by the same words for all of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from support import libvirtd
from support.disk_worlds import DiskWorld, FakeDiskWorld, GuestDiskWorld, started
from support.libvirt_worlds import libvirt_world
from umbel.compute.images.model import PARTS, Image, ImageInUse, NoSuchImage, StoredImage
from umbel.compute.images.ports import ImageStorage, KeepsImages

LIBVIRTD = pytest.mark.skipif(bool(libvirtd.ABSENT), reason=libvirtd.ABSENT)
REAL_GUESTS = pytest.param("libvirt", marks=[pytest.mark.lab, pytest.mark.timeout(600), LIBVIRTD])


@dataclass(frozen=True, kw_only=True)
class ImageWorld:
    """The guest of `below` begins from the image."""

    below: DiskWorld
    image: Image
    storage: ImageStorage

    async def found(self) -> StoredImage | None:
        at = await self.storage.list(self.below.node.name)
        return next((one for one in at if one.id == self.image.id), None)


@pytest.fixture(params=["fake", REAL_GUESTS])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[ImageWorld]:
    if request.param == "fake":
        fake = FakeDiskWorld()
        image = Image(name="relay", command=("relay",), hashes=dict.fromkeys(PARTS, "0" * 64))
        described = replace(fake.guest.description, image=image.id, command=())
        fake.guest = replace(fake.guest, description=described)
        assert isinstance(fake.vim, KeepsImages)
        yield ImageWorld(below=fake, image=image, storage=fake.vim.images)
        return
    ground = request.getfixturevalue("two_hypervisors")
    async with libvirt_world(ground) as guests:
        assert isinstance(guests.vim, KeepsImages)
        real, relay = GuestDiskWorld(guests, ground.b), ground.images.get("relay")
        yield ImageWorld(below=real, image=relay, storage=guests.vim.images)


async def test_a_node_has_an_image_until_it_is_removed(world: ImageWorld) -> None:
    storage, node, image = world.storage, world.below.node.name, world.image
    if await world.found() is not None:  # of a test before
        await storage.remove(node, image.id)
    sent: list[tuple[int, int]] = []
    missing = await storage.upload(node, image, lambda done, total: sent.append((done, total)))
    assert missing > 0
    assert sent == sorted(sent)
    assert sent[-1] == (missing, missing)
    found = await world.found()
    assert found is not None
    assert (found.is_complete, found.used_by) == (True, ())
    assert found.size_mb == pytest.approx(missing / 2**20, rel=0.01)
    sent.clear()
    assert await storage.upload(node, image, lambda done, total: sent.append((done, total))) == 0
    assert sent == []
    await started(world.below)
    found = await world.found()
    assert found is not None
    assert found.used_by == (world.below.guest.id,)
    with pytest.raises(ImageInUse, match=world.below.guest.id):
        await storage.remove(node, image.id)
    await world.below.vim.stop(world.below.guest.id)
    await storage.remove(node, image.id)
    assert await world.found() is None
    with pytest.raises(NoSuchImage, match=image.id):
        await storage.remove(node, image.id)
