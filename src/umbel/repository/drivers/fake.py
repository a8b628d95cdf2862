"""Bytes in memory, counted: for tests and for trying out. They are gone with the process."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from umbel.kit.clock import Clock
from umbel.repository.model import BlobMissing, RepositoryFull, StorageFailed
from umbel.repository.ports import PIECE_BYTES, Stored


@dataclass(kw_only=True)
class FakeStorage:
    """Keeps `capacity` bytes at most. `is_failing`: no call works; `answers`: where it is not set,
    calls wait. `written` and `read_bytes` count what passed."""

    clock: Clock
    capacity: int = 1 << 40
    is_failing: bool = False
    answers: asyncio.Event | None = None
    written: int = 0
    read_bytes: int = 0
    _blobs: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    _drafts: dict[str, bytearray] = field(default_factory=dict)

    async def write(self, blob: str, pieces: AsyncIterator[bytes]) -> int:
        await self._check()
        draft = self._drafts[blob] = bytearray()
        try:
            async for piece in pieces:
                await self._check()
                draft += piece
                if self.used > self.capacity:
                    raise RepositoryFull(f"{self.capacity} bytes is all there is")
                self.written += len(piece)
            self._blobs[blob] = bytes(draft), self.clock.now_s()
        finally:
            del self._drafts[blob]
        return len(draft)

    async def read(self, blob: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        await self._check()
        data = self._get(blob)
        for at in range(start, min(end, len(data)), PIECE_BYTES):
            await self._check()
            piece = data[at : min(end, at + PIECE_BYTES)]
            self.read_bytes += len(piece)
            yield piece

    async def size(self, blob: str) -> int:
        await self._check()
        return len(self._get(blob))

    async def remove(self, blob: str) -> None:
        await self._check()
        self._blobs.pop(blob, None)

    async def list(self) -> AsyncGenerator[Stored, None]:
        await self._check()
        for blob, (data, changed_s) in list(self._blobs.items()):
            yield Stored(blob=blob, size=len(data), changed_s=changed_s)

    async def close(self) -> None:
        pass

    @property
    def used(self) -> int:
        """The bytes that are kept."""
        whole = sum(len(data) for data, _ in self._blobs.values())
        return whole + sum(map(len, self._drafts.values()))

    @property
    def writing(self) -> int:
        """How many blobs are being written."""
        return len(self._drafts)

    def damage(self, blob: str, at: int) -> None:
        """One byte goes bad."""
        data, changed_s = self._blobs[blob]
        wrong = bytes([data[at] ^ 0xFF])
        self._blobs[blob] = data[:at] + wrong + data[at + 1 :], changed_s

    def lose(self, blob: str) -> None:
        """All its bytes are gone."""
        del self._blobs[blob]

    def _get(self, blob: str) -> bytes:
        if blob not in self._blobs:
            raise BlobMissing(f"There is no blob {blob}", blob=blob)
        return self._blobs[blob][0]

    async def _check(self) -> None:
        if self.answers is not None:
            await self.answers.wait()
        if self.is_failing:
            raise StorageFailed("The storage does not answer")
