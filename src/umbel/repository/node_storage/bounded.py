"""A storage that takes so many bytes at most. In: another storage. Out: the same, counted.

Bytes that are on their way count from when they come, so several writes at once do not take more
together than there is room for.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol

from umbel.repository.model import BlobMissing, RepositoryFull
from umbel.repository.ports import ListsSizes, Storage, Stored


class SizedStorage(Storage, ListsSizes, Protocol):
    """A storage that says many sizes at once, too."""


class BoundedStorage:
    """Keeps `limit_bytes` at most; `count` says what is there already."""

    def __init__(self, storage: SizedStorage, limit_bytes: int) -> None:
        self._storage = storage
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._removing = asyncio.Lock()

    async def count(self) -> None:
        """Look at all that is kept; remove what a dead process left half written."""
        used_bytes, half = 0, list[str]()
        async with aclosing(self._storage.list()) as kept:
            async for one in kept:
                if one.is_whole:
                    used_bytes += one.size
                else:
                    half.append(one.blob)
        for blob in half:
            await self._storage.remove(blob)
        self.used_bytes = used_bytes

    async def write(self, blob: str, pieces: AsyncIterator[bytes]) -> int:
        """As storages do."""
        before, taken = await self._size_or_none(blob), 0

        async def counted() -> AsyncGenerator[bytes, None]:
            nonlocal taken
            async for piece in pieces:
                if self.used_bytes + len(piece) > self.limit_bytes:
                    raise RepositoryFull(
                        f"The limit of {self.limit_bytes} bytes is reached: nothing was kept"
                    )
                self.used_bytes += len(piece)
                taken += len(piece)
                yield piece

        try:
            async with aclosing(counted()) as bounded:
                size = await self._storage.write(blob, bounded)
        except BaseException:
            self.used_bytes -= taken
            raise
        self.used_bytes -= before or 0
        return size

    def read(self, blob: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """As storages do."""
        return self._storage.read(blob, start, end)

    async def size(self, blob: str) -> int:
        """As storages do."""
        return await self._storage.size(blob)

    async def sizes(self, blobs: Sequence[str]) -> Mapping[str, int]:
        """As storages do."""
        return await self._storage.sizes(blobs)

    async def remove(self, blob: str) -> None:
        """As storages do."""
        async with self._removing:
            before = await self._size_or_none(blob)
            await self._storage.remove(blob)
            self.used_bytes -= before or 0

    def list(self) -> AsyncGenerator[Stored, None]:
        """As storages do."""
        return self._storage.list()

    async def close(self) -> None:
        """As storages do."""
        await self._storage.close()

    async def _size_or_none(self, blob: str) -> int | None:
        try:
            return await self._storage.size(blob)
        except BlobMissing:
            return None
