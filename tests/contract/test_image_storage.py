"""What every VIM that keeps images at its nodes does, by the same words for all of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Protocol

import pytest

from support import libvirtd, openstack_cloud
from support.disk_worlds import FakeDiskWorld, GuestDiskWorld
from support.libvirt_worlds import libvirt_world
from support.openstack_worlds import OpenStackWorld, openstack_world
from support.vim_worlds import OWNER, until_state
from umbel.compute.images.model import PARTS, Image, ImageInUse, NoSuchImage, StoredImage
from umbel.compute.images.ports import ImageStorage, KeepsImages
from umbel.compute.model import Function, FunctionState, Node
from umbel.compute.ports import Vim

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


class Guests(Protocol):
    """`guest` runs at `node`, once it is started."""

    guest: Function
    node: Node

    @property
    def vim(self) -> Vim: ...


@dataclass
class Servers:
    """The same, of a cloud."""

    below: OpenStackWorld

    def __post_init__(self) -> None:
        self.guest, self.node, self.vim = self.below.edge, self.below.pe2, self.below.vim


@dataclass(frozen=True, kw_only=True)
class ImageWorld:
    """The guest of `below` begins from the image."""

    below: Guests
    image: Image
    storage: ImageStorage

    async def found(self) -> StoredImage | None:
        at = await self.storage.list(self.below.node.name)
        return next((one for one in at if one.id == self.image.id), None)


@pytest.fixture(params=["fake", REAL_GUESTS, REAL_SERVERS])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[ImageWorld]:
    if request.param == "fake":
        fake = FakeDiskWorld()
        image = Image(name="relay", command=("relay",), hashes=dict.fromkeys(PARTS, "0" * 64))
        described = replace(fake.guest.description, image=image.id, command=())
        fake.guest = replace(fake.guest, description=described)
        assert isinstance(fake.vim, KeepsImages)
        yield ImageWorld(below=fake, image=image, storage=fake.vim.images)
        return
    if request.param == "openstack":
        cloud = request.getfixturevalue("two_computes")
        async with openstack_world(cloud) as servers:
            relay = cloud.images.get("relay")
            assert isinstance(servers.vim, KeepsImages)
            yield ImageWorld(below=Servers(servers), image=relay, storage=servers.vim.images)
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
    below = world.below
    await below.vim.start(OWNER, below.guest, below.node)
    await until_state(below.vim, below.guest.id, FunctionState.ACTIVE)
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
