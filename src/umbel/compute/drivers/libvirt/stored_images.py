"""The images that a pool's hypervisors have. Neighbours: link.py sends them; storage.py has
libvirt's own words."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.compute.hypervisors.model import NoSuchHypervisor
from umbel.compute.images.model import Image, ImageInUse, NoSuchImage, StoredImage
from umbel.compute.images.ports import Sent

if TYPE_CHECKING:
    from umbel.compute.drivers.libvirt.link import HypervisorLink


class HypervisorImages:
    """Images at hypervisors. `links` answers those there are."""

    def __init__(self, links: Callable[[], Awaitable[Mapping[str, "HypervisorLink"]]]) -> None:
        self._links = links

    async def list(self, node: str) -> Sequence[StoredImage]:
        link = await self._at(node)
        found: Sequence[StoredImage] = await link.call(
            lambda c: _words().images(c, link.pool_folder)
        )
        return found

    async def upload(self, node: str, image: Image, sent: Sent) -> int:
        return await (await self._at(node)).put_image(image, sent)

    async def remove(self, node: str, image_id: str) -> None:
        link = await self._at(node)
        async with link.copying:
            there = {one.id: one for one in await self.list(node)}
            if image_id not in there:
                raise NoSuchImage(f"{node} has no image {image_id}", image=image_id)
            if users := there[image_id].used_by:
                message = f"{', '.join(users)} began from {image_id}: stop them first"
                raise ImageInUse(message, image=image_id, functions=list(users))
            await link.call(lambda c: _words().remove_image(c, link.pool_folder, image_id))

    async def _at(self, node: str) -> "HypervisorLink":
        links = await self._links()
        if node not in links:
            raise NoSuchHypervisor(f"{node} is no hypervisor of this pool", hypervisor=node)
        return links[node]


def _words() -> Any:
    from umbel.compute.drivers.libvirt import storage  # noqa: PLC0415 -- it loads libvirt

    return storage
