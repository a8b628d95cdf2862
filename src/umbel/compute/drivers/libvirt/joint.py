"""Work that several callers wait for, which ends early when the last of them was cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class JointWork(Generic[Result]):
    """A task that ends by itself after `stop` is set."""

    def __init__(self, work: Coroutine[Any, Any, Result], stop: asyncio.Event, name: str) -> None:
        self._stop = stop
        self._task = asyncio.create_task(work, name=name)
        self._waiting = 0

    async def result(self) -> Result:
        """What it answers or raises. The caller that is cancelled last waits until it has ended."""
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if self._waiting == 1:
                await self.end()
            raise
        finally:
            self._waiting -= 1

    async def end(self) -> None:
        """Have it end; return when it has."""
        self._stop.set()
        await asyncio.gather(self._task, return_exceptions=True)
