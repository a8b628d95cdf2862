"""Uploads that may be interrupted and go on: an item that grows to a size known in advance.

In: bytes that follow those that are there. Out: an item that expires unless it becomes whole. Bytes
are kept in parts of 16 MiB: a crash of this process costs the last one of them, a lost connection
none. Neighbour: tus.py has the protocol's headers.
"""

import hashlib
import hmac
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from umbel.kit.clock import Clock
from umbel.kit.errors import NotFound
from umbel.repository.model import MOST_PARTS, Item, NoSuchItem, RepositoryQuotaReached
from umbel.repository.service import Repository, Source
from umbel.repository.tus import Checksum, TusChecksum, TusOffset
from umbel.repository.uploads import Uploads

PART_BYTES = 16 << 20
EXPIRES_S = 86_400.0
"""How long an upload that is not whole is kept after its last byte."""
_LENGTH = "upload-length"
_METADATA = "upload-metadata"
_LEAST_PART = 1 << 20


class NoSuchResumableUpload(NotFound):
    """There is no upload with this id: it was deleted, it expired, or it never existed."""

    code = "umbel.no_such_resumable_upload"


class UploadTooLong(TusOffset):
    """More bytes came than were declared for the upload; what was too much was not kept."""

    code = "umbel.upload_too_long"
    http_status = 413


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An item on its way: it has `item.size` of `length` bytes. `metadata` are those of the
    client, as they came."""

    item: Item
    length: int
    metadata: str

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there."""
        return self.item.size == self.length


@dataclass(frozen=True, kw_only=True)
class ResumableUploads:
    """Uploads of all owners."""

    repository: Repository
    uploads: Uploads
    clock: Clock
    part_bytes: int = PART_BYTES
    expires_s: float = EXPIRES_S

    async def create(
        self, owner: str, length: int, raw_metadata: str, metadata: Mapping[str, str]
    ) -> Upload:
        """An upload without bytes yet; `metadata` are kept with the item. Raises
        RepositoryQuotaReached, TooManyItems, BadMetadata."""
        usage = await self.repository.usage(owner)
        room = usage.quota_bytes - usage.bytes
        if length > room:
            message = f"There is room for {room} bytes: delete files, or upload a smaller one"
            raise RepositoryQuotaReached(message, owner=owner, room_bytes=room)
        item = await self.repository.create(
            owner,
            {**metadata, _LENGTH: str(length), _METADATA: raw_metadata},
            expires_in_s=self.expires_s,
        )
        return Upload(item=item, length=length, metadata=raw_metadata)

    async def get(self, upload_id: str) -> Upload:
        """That upload. Raises NoSuchResumableUpload."""
        try:
            return _upload(await self.repository.get(upload_id))
        except NoSuchItem as error:
            raise NoSuchResumableUpload(upload=upload_id) from error

    async def delete(self, upload_id: str) -> None:
        """The upload goes with its bytes. Raises NoSuchResumableUpload."""
        await self.get(upload_id)
        await self.repository.delete(upload_id)

    async def append(
        self,
        upload_id: str,
        offset: int,
        chunks: AsyncIterator[bytes],
        checksum: Checksum | None = None,
    ) -> Upload:
        """The upload has these bytes, too. What came before an error or the end of `chunks` stays,
        but with a checksum all of them count or none. Raises NoSuchResumableUpload, TusOffset,
        UploadTooLong, TusChecksum, and what `Uploads.write` raises."""
        upload = await self.get(upload_id)
        if upload.item.size != offset:
            raise TusOffset(f"{upload_id} has {upload.item.size} bytes", size=upload.item.size)
        source = _Pieces(chunks, left=upload.length - offset)
        if checksum is not None:
            await self._write(upload, offset, _checked(source.all(), checksum))
        else:
            while await source.more():
                taken = source.take(self.part_bytes)
                offset = (await self._write(upload, offset, taken)).size
        upload = await self.get(upload_id)
        return await self._renewed(upload)

    async def _write(
        self, upload: Upload, offset: int, chunks: AsyncGenerator[bytes, None]
    ) -> Item:
        # No item may have more than MOST_PARTS: small pieces are joined, longer ones in longer
        # uploads.
        least_part = max(_LEAST_PART, upload.length // (MOST_PARTS // 4))
        async with aclosing(chunks):
            source = Source(chunks=chunks, offset=offset, least_part=least_part)
            return await self.uploads.write(upload.item.id, source)

    async def _renewed(self, upload: Upload) -> Upload:
        """It lasts from now on; a whole one for ever."""
        expires_s = None if upload.is_whole else self.clock.now_s() + self.expires_s

        def change(item: Item) -> Item:
            return replace(item, expires_s=expires_s, version=item.version + 1)

        return _upload(await self.repository.store.change(upload.item.id, change))


def _upload(item: Item) -> Upload:
    length = item.metadata.get(_LENGTH, "")
    if not (length.isascii() and length.isdecimal() and len(length) < 20):
        raise NoSuchResumableUpload(upload=item.id)
    return Upload(item=item, length=int(length), metadata=item.metadata.get(_METADATA, ""))


class _Pieces:
    """Chunks of a body, taken in parts; no more than `left` bytes of them."""

    def __init__(self, chunks: AsyncIterator[bytes], left: int) -> None:
        self._chunks = chunks
        self._left = left
        self._held = b""

    async def more(self) -> bool:
        """Whether there are more bytes. Raises UploadTooLong."""
        while not self._held:
            try:
                self._held = await anext(self._chunks)
            except StopAsyncIteration:
                return False
        if not self._left:
            raise UploadTooLong
        return True

    async def take(self, most: int) -> AsyncGenerator[bytes, None]:
        """The next bytes, up to so many."""
        most = min(most, self._left)
        while most and await self.more():
            taken, self._held = self._held[:most], self._held[most:]
            most -= len(taken)
            self._left -= len(taken)
            yield taken

    async def all(self) -> AsyncGenerator[bytes, None]:
        """All bytes. Raises UploadTooLong."""
        while await self.more():
            async for taken in self.take(len(self._held)):
                yield taken


async def _checked(
    chunks: AsyncGenerator[bytes, None], checksum: Checksum
) -> AsyncGenerator[bytes, None]:
    digest = hashlib.new(checksum.algorithm, usedforsecurity=False)
    async with aclosing(chunks):
        async for chunk in chunks:
            digest.update(chunk)
            yield chunk
    if not hmac.compare_digest(digest.digest(), checksum.digest):
        raise TusChecksum
