"""The images, for operators: those of the control plane, and those that nodes have.

In: what operators ask. Out: images in the control plane's folder, and copies at nodes, which are
made in the background and show how far they are.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from umbel.compute.images.folder import Images
from umbel.compute.images.model import (
    Image,
    ImageInUse,
    ImageStatus,
    NoImagesThere,
    StoredImage,
)
from umbel.compute.images.ports import ImageStorage, KeepsImages
from umbel.compute.images.uploads import Upload, Uploads
from umbel.compute.ports import Vim
from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)

_MIB = 2**20


@dataclass
class _NodeCopy:
    """A copy to a node that is under way, or that failed."""

    image: Image
    sent: int = 0
    total: int = 0
    problem: str = ""
    task: "asyncio.Task[None] | None" = None


@dataclass(kw_only=True)
class ImageService:
    """The images. `vim_at` answers the VIM of a node and raises NoSuchNode. Methods with a node
    raise NoImagesThere and what the VIM raises."""

    images: Images
    uploads: Uploads
    vim_at: Callable[[str], Vim]
    clock: Clock
    _copies: dict[tuple[str, str], _NodeCopy] = field(default_factory=dict)

    async def list(self) -> Sequence[ImageStatus]:
        """Those of the control plane, by id."""
        return await asyncio.to_thread(self.images.statuses)

    async def remove(self, image_id: str, *, by: str) -> None:
        """The control plane's copy goes; nodes keep theirs. Raises NoSuchImage, and ImageInUse
        while it is copied to a node."""
        image = self.images.get(image_id)
        if any(one.image == image and one.task is not None for one in self._copies.values()):
            raise ImageInUse(f"{image.id} is being copied to a node", image=image.id)
        await asyncio.to_thread(self.images.remove, image)
        log.info("image removed", image=image.id, by=by)

    async def begin(self, image: Image, sizes: Mapping[str, int], *, by: str) -> Mapping[str, int]:
        """An upload to the control plane begins, or goes on: how many bytes of each part are here.
        Raises TooManyImages."""
        upload = Upload(image=image, sizes=sizes, begun_s=self.clock.now_s())
        received = await asyncio.to_thread(self.uploads.begin, upload)
        log.info("image upload begun", image=image.id, by=by)
        return received

    async def receive(self, image_id: str, part: str, offset: int, data: bytes) -> int:
        """A piece of a part. Raises NoSuchUpload, UploadOutOfOrder."""
        return await asyncio.to_thread(self.uploads.receive, image_id, part, offset, data)

    async def complete(self, image_id: str, *, by: str) -> ImageStatus:
        """The upload is over. Raises NoSuchUpload, UploadOutOfOrder, ImageCorrupt."""
        image = await asyncio.to_thread(self.uploads.complete, image_id)
        log.info("image uploaded", image=image.id, by=by)
        return next(one for one in await self.list() if one.image.id == image.id)

    # -- at nodes ---------------------------------------------------------------------------

    async def stored(self, node: str) -> Sequence[StoredImage]:
        """The images that the node has or gets, by id."""
        found = {one.id: one for one in await self._storage(node).list(node)}
        for (at, id_), copy in self._copies.items():
            if at == node and (copy.task is not None or copy.problem):
                known = found.get(id_, StoredImage(id=id_, size_mb=0.0))
                found[id_] = replace(
                    known,
                    is_copying=copy.task is not None,
                    copied_mb=copy.sent / _MIB,
                    size_mb=max(known.size_mb, copy.total / _MIB),
                    problem=copy.problem,
                )
        return [found[id_] for id_ in sorted(found)]

    async def send(self, name: str, node: str, *, by: str) -> StoredImage:
        """Begin to copy an image, by name or id, to the node. Idempotent. Raises NoSuchImage."""
        storage, image = self._storage(node), self.images.get(name)
        copy = self._copies.get((node, image.id))
        if copy is None or copy.task is None:
            copy = self._copies[node, image.id] = _NodeCopy(image)
            work = self._send(storage, node, copy)
            copy.task = asyncio.create_task(work, name=f"copy {image.id} to {node}")
            log.info("image copied", image=image.id, node=node, by=by)
        return StoredImage(id=image.id, size_mb=copy.total / _MIB, is_copying=True)

    async def remove_at(self, node: str, image_id: str, *, by: str) -> None:
        """The node's copy goes. Raises NoSuchImage, ImageInUse."""
        copy = self._copies.get((node, image_id))
        if copy is not None and copy.task is not None:
            raise ImageInUse(f"{image_id} is being copied to {node}", image=image_id)
        await self._storage(node).remove(node, image_id)
        self._copies.pop((node, image_id), None)
        log.info("image removed from node", image=image_id, node=node, by=by)

    async def close(self) -> None:
        """Copies end."""
        tasks = [one.task for one in self._copies.values() if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _storage(self, node: str) -> ImageStorage:
        vim = self.vim_at(node)
        if not isinstance(vim, KeepsImages):
            raise NoImagesThere(f"Functions of {node} are no guests: it has no images", node=node)
        return vim.images

    async def _send(self, storage: ImageStorage, node: str, copy: _NodeCopy) -> None:
        def sent(done: int, total: int) -> None:
            copy.sent, copy.total = done, total

        try:
            await storage.upload(node, copy.image, sent)
        except UmbelError as error:
            copy.problem = error.message
            log.warning("image not copied", image=copy.image.id, node=node, reason=error.message)
        finally:
            copy.task = None
