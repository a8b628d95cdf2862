"""Bytes on their way into the repository: counted, digested, and kept whole or not at all.

In: an item and chunks. Out: the item with these bytes. Rows come before bytes and go after them.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NoReturn

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError
from umbel.kit.ids import new_id
from umbel.repository import reading
from umbel.repository.model import (
    Item,
    Part,
    RepositoryQuotaReached,
    UploadIncomplete,
    UploadOffset,
)
from umbel.repository.pieces import pieces
from umbel.repository.ports import Storage
from umbel.repository.store import RepositoryStore, Written
from umbel.repository.threads import in_thread

log = structlog.get_logger(__name__)

_TOUCH_EVERY_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is uploaded. `size` is what was declared of it, None where nothing was; `offset` is
    where the bytes follow the item's, None where they replace them. Where the item's last part has
    fewer than `least_part` bytes, it and these become one part: small pieces make few parts."""

    chunks: AsyncIterator[bytes]
    size: int | None = None
    offset: int | None = None
    content_type: str = ""
    least_part: int = 0


@dataclass(kw_only=True)
class _Upload:
    """One that is under way."""

    item: Item
    blob: str
    room: int
    touched_s: float
    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)


@dataclass(frozen=True, kw_only=True)
class Uploads:
    """Writes items' bytes."""

    store: RepositoryStore
    storage: Storage
    clock: Clock

    async def write(self, item_id: str, source: Source) -> Item:
        """The item has these bytes. Raises NoSuchItem, TooManyUploads, RepositoryQuotaReached,
        UploadOffset, UploadIncomplete, VersionMismatch, TooManyParts, RepositoryFull,
        StorageFailed; nothing of them is kept then."""
        blob, now_s = new_id("blob"), self.clock.now_s()
        item, room = await self.store.begin(item_id, blob, now_s)
        upload = _Upload(item=item, blob=blob, room=room, touched_s=now_s)
        try:
            _check_begin(upload, source)
            joined = await self._joined(item, source)
            async with aclosing(self._digested(upload, source, joined)) as found:
                await self.storage.write(blob, found)
            written = Written(
                blob=blob,
                item=item.id,
                version=item.version,
                offset=source.offset,
                joined=joined[0].blob if joined else "",
                size=upload.size + sum(one.size for one in joined),
                sha256=upload.digest.hexdigest(),
                content_type=source.content_type,
            )
            after, replaced = await self.store.complete(written, self.clock.now_s())
        except BaseException:
            await self._give_up(blob)
            raise
        for one in replaced:
            await self.remove(one)
        log.info("uploaded", item=item.id, owner=item.owner, bytes=upload.size)
        return after

    async def remove(self, blob: str) -> None:
        """The dropped blob's bytes go, now or with the next upkeep."""
        try:
            await self.storage.remove(blob)
            await self.store.forget(blob)
        except UmbelError as error:
            log.warning("blob not removed", blob=blob, reason=error.message)

    async def _give_up(self, blob: str) -> None:
        try:
            is_dropped = await self.store.drop(blob)
        except UmbelError as error:
            log.warning("upload not given up", blob=blob, reason=error.message)
        else:
            if is_dropped:
                await self.remove(blob)

    async def _joined(self, item: Item, source: Source) -> Sequence[Part]:
        """The item's last part, where the bytes are to be one part with it."""
        if source.offset is None or not source.least_part:
            return ()
        parts = (await self.store.content(item.id)).parts
        return [one for one in parts[-1:] if one.size < source.least_part]

    async def _digested(
        self, upload: _Upload, source: Source, joined: Sequence[Part]
    ) -> AsyncGenerator[bytes, None]:
        before = sum(one.size for one in joined)
        async with (
            aclosing(reading.read(self.storage, joined, 0, before)) as kept,
            aclosing(self._counted(upload, source)) as counted,
            aclosing(pieces(_chained(kept, counted))) as found,
        ):
            async for piece in found:
                await in_thread(upload.digest.update, piece)
                yield piece
        if source.size is not None and upload.size != source.size:
            message = f"{upload.size} of {source.size} bytes came: upload them again"
            raise UploadIncomplete(message, item=upload.item.id)

    async def _counted(self, upload: _Upload, source: Source) -> AsyncGenerator[bytes, None]:
        """The chunks as they come; each shows that the upload goes on."""
        async for chunk in source.chunks:
            upload.size += len(chunk)
            if upload.size > upload.room:
                _refuse(upload.item)
            now_s = self.clock.now_s()
            if now_s - upload.touched_s >= _TOUCH_EVERY_S:
                owner = upload.item.owner
                left = await self.store.touch(upload.blob, owner, upload.size, now_s)
                upload.room, upload.touched_s = upload.size + left, now_s
            yield chunk


async def _chained(*sources: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    for source in sources:
        async for chunk in source:
            yield chunk


def _check_begin(upload: _Upload, source: Source) -> None:
    """What is wrong before the first byte."""
    if source.offset is not None and source.offset != upload.item.size:
        message = f"{upload.item.id} has {upload.item.size} bytes: continue there"
        raise UploadOffset(message, size=upload.item.size)
    if (source.size or 0) > upload.room:
        _refuse(upload.item)


def _refuse(item: Item) -> NoReturn:
    message = f"{item.owner} may not have so many bytes: delete items, or send fewer"
    raise RepositoryQuotaReached(message, owner=item.owner)
