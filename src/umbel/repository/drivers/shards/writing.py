"""One blob on its way to all its shards: each storage takes its cells from a short queue.

In: stripes, in order. Out: which shards are whole. A storage that fails or hangs is given up, and
the others go on.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import structlog

from umbel.kit.errors import UmbelError
from umbel.repository.model import RepositoryFull, StorageFailed
from umbel.repository.ports import Storage

log = structlog.get_logger(__name__)

_QUEUED = 2
"""Cells that wait for a storage, for each shard."""
_GRACE_S = 1.0
_HANGING: set["asyncio.Task[int]"] = set()


class ShardWriters:
    """The writers of one blob. A storage that takes no cell for `stall_s` seconds is given up."""

    def __init__(self, storages: Sequence[Storage], blob: str, stall_s: float) -> None:
        self._blob = blob
        self._stall_s = stall_s
        self._queues = [asyncio.Queue[bytes | None](_QUEUED) for _ in storages]
        self._tasks = [
            asyncio.ensure_future(storage.write(blob, self._cells(queue)))
            for storage, queue in zip(storages, self._queues, strict=True)
        ]

    async def put(self, cells: Sequence[bytes]) -> None:
        """One stripe's cells, for each shard its own."""
        await asyncio.gather(*(self._put(n, cell) for n, cell in enumerate(cells)))

    async def finish(self, needed: int) -> None:
        """All stripes were put. Raises RepositoryFull or StorageFailed where fewer than `needed`
        shards are whole; the whole ones are there then too."""
        await asyncio.gather(*(self._put(n, None) for n in range(len(self._tasks))))
        await asyncio.wait(self._tasks, timeout=self._stall_s)
        await self.abandon()
        errors = {n: self._error(task) for n, task in enumerate(self._tasks)}
        failed = {n: error for n, error in errors.items() if error is not None}
        if not failed:
            return
        said = "; ".join(f"shard {n}: {error}" for n, error in failed.items())
        log.warning("shards not written", blob=self._blob, reason=said)
        if len(self._tasks) - len(failed) < needed:
            is_full = any(isinstance(error, RepositoryFull) for error in failed.values())
            raise (RepositoryFull if is_full else StorageFailed)(said)

    async def abandon(self) -> None:
        """End every write that goes on. One whose disk hangs ends when it can, and keeps nothing:
        nobody waits for it."""
        for task in self._tasks:
            task.cancel()
        _, hanging = await asyncio.wait(self._tasks, timeout=min(_GRACE_S, self._stall_s))
        _HANGING.update(hanging)
        for task in hanging:
            task.add_done_callback(_forget)

    def is_lost(self, needed: int) -> bool:
        """Whether too many have failed already."""
        return sum(not task.done() for task in self._tasks) < needed

    async def _put(self, number: int, cell: bytes | None) -> None:
        task = self._tasks[number]
        putting = asyncio.ensure_future(self._queues[number].put(cell))
        try:
            await asyncio.wait(
                [putting, task], timeout=self._stall_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not putting.done():
                task.cancel()
        finally:
            putting.cancel()

    def _error(self, task: "asyncio.Task[int]") -> Exception | None:
        if not task.done() or task.cancelled():
            return StorageFailed("It did not take the bytes in time")
        error = task.exception()
        if error is not None and not isinstance(error, UmbelError):
            raise error
        return error

    async def _cells(self, queue: "asyncio.Queue[bytes | None]") -> AsyncGenerator[bytes, None]:
        while (cell := await queue.get()) is not None:
            yield cell


def _forget(task: "asyncio.Task[int]") -> None:
    _HANGING.discard(task)
    if not task.cancelled():
        task.exception()  # nobody waits for it any more
