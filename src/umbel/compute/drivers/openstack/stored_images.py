"""The images that a pool's clouds have. Nodes in one project share them. Neighbour: project.py."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from umbel.compute.clouds.model import NoSuchCloudNode
from umbel.compute.images.model import Image, StoredImage
from umbel.compute.images.ports import Sent

if TYPE_CHECKING:
    from umbel.compute.drivers.openstack.link import CloudLink


class CloudImages:
    """Images in clouds. `links` answers the nodes there are."""

    def __init__(self, links: Callable[[], Awaitable[Mapping[str, "CloudLink"]]]) -> None:
        self._links = links

    async def list(self, node: str) -> Sequence[StoredImage]:
        return await (await self._at(node)).project.images()

    async def upload(self, node: str, image: Image, sent: Sent) -> int:
        _, missing = await (await self._at(node)).project.put_image(image, sent)
        return missing

    async def remove(self, node: str, image_id: str) -> None:
        await (await self._at(node)).project.remove_image(image_id)

    async def _at(self, node: str) -> "CloudLink":
        links = await self._links()
        if node not in links:
            raise NoSuchCloudNode(f"{node} is no node in a cloud of this pool", node=node)
        return links[node]
