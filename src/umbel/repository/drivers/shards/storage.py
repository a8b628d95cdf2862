"""A storage over k + m others, each at a node of its own.

In: pieces. Out: shards (fec/layout.py), and any range of them again from the first k that answer.
A write is answered once one storage more than k has its shard, so that it survives the next loss;
what is missing then is made again by `repair`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing

import structlog

from umbel.kit.errors import UmbelError
from umbel.repository.drivers.shards.asking import Asking, is_bad
from umbel.repository.drivers.shards.writing import ShardWriters
from umbel.repository.fec.layout import (
    TRAILER_BYTES,
    BadShard,
    Geometry,
    join,
    parse_trailer,
    seal,
    trailer,
)
from umbel.repository.fec.reed_solomon import Code
from umbel.repository.model import BlobMissing, StorageFailed
from umbel.repository.pieces import pieces as regrouped
from umbel.repository.ports import PIECE_BYTES, ListsSizes, Storage, Stored
from umbel.repository.threads import in_thread

log = structlog.get_logger(__name__)

Cells = Sequence[bytes]
STALL_S = 30.0
"""After so long without a byte a storage is given up for this blob."""
_MOST_GEOMETRIES = 4096
_MOST_SUSPECTS = 10_000
_SIZES_WITHIN_S = 600.0


class ShardStorage:
    """Keeps blobs at the storages, in order; `m` of them hold parity."""

    def __init__(self, storages: Sequence[Storage], m: int, *, stall_s: float = STALL_S) -> None:
        self._storages = tuple(storages)
        self._code = Code(len(storages) - m, m)
        self._stall_s = stall_s
        self._asking = Asking(len(storages))
        self._geometries: OrderedDict[str, Geometry] = OrderedDict()
        self._suspects: OrderedDict[str, None] = OrderedDict()

    @property
    def k(self) -> int:
        """How many shards are enough."""
        return self._code.k

    @property
    def m(self) -> int:
        """How many may be lost."""
        return self._code.m

    # -- a storage --------------------------------------------------------------------------

    async def write(self, blob: str, pieces: AsyncIterator[bytes]) -> int:
        code, length = self._code, 0
        empty = Geometry(k=code.k, m=code.m, length=0)
        needed = code.k + 1
        writers = ShardWriters(self._storages, blob, self._stall_s)
        try:
            async with aclosing(regrouped(pieces, code.k * empty.cell)) as stripes:
                async for stripe in stripes:
                    length += len(stripe)
                    await writers.put(await in_thread(_encoded, code, empty, stripe))
                    if writers.is_lost(needed):
                        break
            geometry = Geometry(k=code.k, m=code.m, length=length)
            await writers.put([trailer(geometry, n, blob) for n in range(code.k + code.m)])
            await writers.finish(needed)
        except BaseException:
            await writers.abandon()
            await self._asking.all(lambda n: self._storages[n].remove(blob), self._stall_s)
            raise
        self._remember(blob, geometry)
        return length

    async def read(self, blob: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        geometry = await self._geometry(blob)
        end, whole = min(end, geometry.length), geometry.k * geometry.cell
        step = max(1, PIECE_BYTES // whole)
        while start < end:
            first = start // whole
            last = min(first + step, -(-end // whole))
            data = await self._decoded(blob, geometry, first, last)
            piece = data[start - first * whole : end - first * whole]
            start += len(piece)
            for at in range(0, len(piece), PIECE_BYTES):
                yield piece[at : at + PIECE_BYTES]

    async def size(self, blob: str) -> int:
        geometry = await self._geometry(blob)
        sizes, errors = await self._asking.all(
            lambda n: self._storages[n].size(blob), self._stall_s
        )
        is_wrong = any(size != geometry.shard_size for size in sizes.values())
        missing = sum(isinstance(error, BlobMissing) for error in errors.values())
        if missing > geometry.m:
            raise BlobMissing(f"{missing} shards of {blob} are missing", blob=blob)
        if is_wrong or missing:
            self._suspect(blob)
        return geometry.length

    async def lost(self, sizes: Mapping[str, int]) -> AbstractSet[str]:
        blobs, code, lost = list(sizes), self._code, set[str]()
        found, errors = await self._asking.all(
            lambda n: _sizes(self._storages[n], blobs), _SIZES_WITHIN_S
        )
        if not found:
            raise StorageFailed("; ".join(map(str, errors.values())))
        for blob, size in sizes.items():
            wanted = Geometry(k=code.k, m=code.m, length=size).shard_size
            bad = sum(there.get(blob) != wanted for there in found.values())
            if bad > code.m:
                lost |= await self._if_lost(blob, size)
            elif bad:
                self._suspect(blob)
        return lost

    async def _if_lost(self, blob: str, size: int) -> set[str]:
        """It looks lost: ask the shards themselves. Raises StorageFailed where they are those of
        other settings."""
        try:
            return set() if await self.size(blob) == size else {blob}
        except BlobMissing:
            return {blob}

    async def remove(self, blob: str) -> None:
        self._geometries.pop(blob, None)
        self._suspects.pop(blob, None)
        _, errors = await self._asking.all(lambda n: self._storages[n].remove(blob), self._stall_s)
        # What a storage keeps that does not answer now is found by a sweep when it is back.
        if len(errors) > self._code.m:
            raise StorageFailed("; ".join(map(str, errors.values())))

    async def list(self) -> AsyncGenerator[Stored, None]:
        seen: set[str] = set()
        failed: list[str] = []
        for storage in self._storages:
            try:
                async with aclosing(storage.list()) as kept:
                    async for one in kept:
                        if one.blob not in seen:
                            seen.add(one.blob)
                            yield one
            except UmbelError as error:
                failed.append(error.message)
        if len(failed) > self._code.m:
            raise StorageFailed("; ".join(failed))

    async def close(self) -> None:
        await self._asking.close()
        await asyncio.gather(*(one.close() for one in self._storages))

    # -- repairs ----------------------------------------------------------------------------

    def suspects(self) -> Sequence[str]:
        found = list(self._suspects)
        self._suspects.clear()
        return found

    async def repair(self, blob: str) -> int:
        geometry = await self._geometry(blob)
        bad = await self._bad_shards(blob, geometry)
        for number in sorted(bad):
            storage = self._storages[number]
            await storage.remove(blob)
            async with aclosing(self._shard(blob, geometry, number, bad)) as cells:
                await storage.write(blob, cells)
            log.info("shard repaired", blob=blob, shard=number)
        return len(bad)

    async def _bad_shards(self, blob: str, geometry: Geometry) -> set[int]:
        """The shards that are missing or damaged. Raises BlobMissing where too many are,
        StorageFailed where a storage does not answer."""
        _, errors = await self._asking.all(lambda n: self._verified(blob, geometry, n), 3600.0)
        failed = [error for error in errors.values() if not is_bad(error)]
        if len(errors) > geometry.m:
            if not failed:
                raise BlobMissing(f"{len(errors)} shards of {blob} are lost", blob=blob)
            raise StorageFailed("; ".join(map(str, failed)))
        if failed:
            log.warning("shards not checked", blob=blob, reason="; ".join(map(str, failed)))
        return {number for number, error in errors.items() if is_bad(error)}

    async def _verified(self, blob: str, geometry: Geometry, number: int) -> None:
        storage = self._storages[number]
        if await storage.size(blob) != geometry.shard_size:
            raise BadShard("it has another size")
        if await self._trailer(blob, number) != geometry:
            raise BadShard("it has another geometry")
        for first in range(0, geometry.stripes, _BATCH):
            last = min(first + _BATCH, geometry.stripes)
            await self._cells(blob, geometry, number, first, last)

    async def _shard(
        self, blob: str, geometry: Geometry, number: int, bad: set[int]
    ) -> AsyncGenerator[bytes, None]:
        for stripe in range(geometry.stripes):
            cells = await self._gathered(blob, geometry, stripe, stripe + 1, bad)
            have = {n: found[0] for n, found in cells.items()}
            made = await in_thread(self._code.reconstruct, have, [number])
            yield seal(made[number])
        yield trailer(geometry, number, blob)

    # -- inside -----------------------------------------------------------------------------

    async def _decoded(self, blob: str, geometry: Geometry, first: int, last: int) -> bytes:
        bad: set[int] = set()
        cells = await self._gathered(blob, geometry, first, last, bad)
        if bad:
            self._suspect(blob)
        return await in_thread(_joined, self._code, geometry, first, cells)

    async def _gathered(
        self, blob: str, geometry: Geometry, first: int, last: int, bad: set[int]
    ) -> dict[int, Cells]:
        """The cells of the first k shards that answer, by number; not of those that are bad."""
        known = frozenset(bad)

        async def ask(number: int) -> Cells:
            if number in known:
                raise BadShard("it is known to be bad")
            return await self._cells(blob, geometry, number, first, last)

        return await self._asking.first(geometry.k, ask, bad)

    async def _cells(
        self, blob: str, geometry: Geometry, number: int, first: int, last: int
    ) -> Cells:
        start, end = geometry.offset(first), geometry.offset(last)
        data = await _collected(self._storages[number], blob, start, end)
        return geometry.cells(data, first, last)

    async def _geometry(self, blob: str) -> Geometry:
        known = self._geometries.get(blob)
        if known is None:
            bad: set[int] = set()
            found = await self._asking.first(1, lambda n: self._trailer(blob, n), bad)
            (known,) = found.values()
            if bad:
                self._suspect(blob)
            self._remember(blob, known)
        return known

    async def _trailer(self, blob: str, number: int) -> Geometry:
        storage = self._storages[number]
        size = await storage.size(blob)
        data = await _collected(storage, blob, max(size - TRAILER_BYTES, 0), size)
        geometry = parse_trailer(data, number, blob)
        if (geometry.k, geometry.m) != (self._code.k, self._code.m):
            raise StorageFailed(
                f"{blob} has {geometry.k}+{geometry.m} shards, and the settings say"
                f" {self._code.k}+{self._code.m}"
            )
        return geometry

    def _remember(self, blob: str, geometry: Geometry) -> None:
        self._geometries[blob] = geometry
        if len(self._geometries) > _MOST_GEOMETRIES:
            self._geometries.popitem(last=False)

    def _suspect(self, blob: str) -> None:
        if len(self._suspects) < _MOST_SUSPECTS:
            self._suspects[blob] = None


_BATCH = 16
"""Stripes whose cells are checked at a time."""


def _encoded(code: Code, geometry: Geometry, stripe: bytes) -> list[bytes]:
    data = geometry.split(stripe)
    return [seal(cell) for cell in (*data, *code.encode(data))]


def _joined(code: Code, geometry: Geometry, first: int, cells: Mapping[int, Cells]) -> bytes:
    found = []
    for index in range(len(next(iter(cells.values())))):
        have = {number: own[index] for number, own in cells.items()}
        data = code.reconstruct(have, range(code.k))
        ordered = [data[number] for number in range(code.k)]
        found.append(join(ordered, geometry.data_bytes(first + index)))
    return b"".join(found)


async def _sizes(storage: Storage, blobs: Sequence[str]) -> Mapping[str, int]:
    if isinstance(storage, ListsSizes):
        return await storage.sizes(blobs)
    found = {}
    for blob in blobs:
        try:
            found[blob] = await storage.size(blob)
        except BlobMissing:
            continue
    return found


async def _collected(storage: Storage, blob: str, start: int, end: int) -> bytes:
    async with aclosing(storage.read(blob, start, end)) as found:
        return b"".join([piece async for piece in found])
