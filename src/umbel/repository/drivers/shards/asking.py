"""Many storages asked at once: the first answers count, without waiting for the slow ones.

In: a call for each shard. Out: the first so many results. A call that is not needed any more is
cancelled, and left to end by itself: a disk that hangs must not hold up a reader that has its
bytes. A storage that has many such calls is not asked while others can answer.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from umbel.kit.errors import UmbelError
from umbel.repository.fec.layout import BadShard
from umbel.repository.model import BlobMissing, StorageFailed

T = TypeVar("T")
Ask = Callable[[int], Awaitable[T]]
MOST_UNFINISHED = 8


def is_bad(error: Exception) -> bool:
    """Whether the shard is missing or damaged, and its storage answers."""
    return isinstance(error, BlobMissing | BadShard)


class Asking:
    """The calls to the storages of `count` shards, by number."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._unfinished: Counter[int] = Counter()
        self._left: set[asyncio.Task[Any]] = set()

    async def first(self, needed: int, ask: Ask[T], bad: set[int] | None = None) -> dict[int, T]:
        """The first `needed` results, by number. Numbers whose shard is missing or damaged come to
        `bad`. Raises BlobMissing where too many are, StorageFailed."""
        tasks = {asyncio.ensure_future(ask(number)): number for number in self._ready(needed)}
        found: dict[int, T] = {}
        errors: dict[int, Exception] = {}
        try:
            while tasks and len(found) < needed:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    _sort(task, tasks.pop(task), found, errors)
        finally:
            for task, number in tasks.items():
                self._leave(task, number)
        wrong = {n for n, error in errors.items() if is_bad(error)}
        if bad is not None:
            bad |= wrong
        if len(found) < needed:
            raise _too_few(self._count, needed, errors)
        return dict(sorted(found.items())[:needed])

    async def all(self, ask: Ask[T], within_s: float) -> tuple[dict[int, T], dict[int, Exception]]:
        """Every result within a time, and every failure; a late one is StorageFailed."""
        tasks = {asyncio.ensure_future(ask(number)): number for number in range(self._count)}
        found: dict[int, T] = {}
        errors: dict[int, Exception] = {}
        try:
            done, late = await asyncio.wait(tasks, timeout=within_s)
        except asyncio.CancelledError:
            for task, number in tasks.items():
                self._leave(task, number)
            raise
        for task in done:
            _sort(task, tasks[task], found, errors)
        for task in late:
            self._leave(task, tasks[task])
            errors[tasks[task]] = StorageFailed("It did not answer in time")
        return found, errors

    async def close(self) -> None:
        """Wait until every call that was left has ended."""
        await asyncio.gather(*self._left, return_exceptions=True)

    def _ready(self, needed: int) -> Collection[int]:
        free = [n for n in range(self._count) if self._unfinished[n] < MOST_UNFINISHED]
        return free if len(free) >= needed else range(self._count)

    def _leave(self, task: "asyncio.Task[Any]", number: int) -> None:
        task.cancel()
        self._unfinished[number] += 1
        self._left.add(task)

        def ended(task: "asyncio.Task[Any]") -> None:
            self._unfinished[number] -= 1
            self._left.discard(task)
            if not task.cancelled():
                task.exception()

        task.add_done_callback(ended)


def _sort(
    task: "asyncio.Task[T]", number: int, found: dict[int, T], errors: dict[int, Exception]
) -> None:
    try:
        found[number] = task.result()
    except (UmbelError, BadShard) as error:
        errors[number] = error


def _too_few(count: int, needed: int, errors: dict[int, Exception]) -> UmbelError:
    lost = sum(is_bad(error) for error in errors.values())
    if lost > count - needed:
        return BlobMissing(f"{lost} of {count} shards are missing or damaged")
    said = "; ".join(f"shard {n}: {error}" for n, error in sorted(errors.items()))
    return StorageFailed(f"Fewer than {needed} of {count} shards could be read: {said}")
