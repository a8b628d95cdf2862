"""Blocking calls of drivers, on threads: a caller that is cancelled waits until the call has ended.

Without that a file would be closed while a thread still writes to it. A storage has threads of its
own, so that a disk or a server that hangs takes none from others.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_MOST_THREADS = 16


class Threads:
    """The threads of one storage; they begin as they are needed."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(_MOST_THREADS, name)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the call returns or raises. It has ended when this returns, also when cancelled."""
        return await _ended(self._begun(partial(call, *args, **kwargs)), _nothing)

    async def open(self, opening: Callable[[], T], close: Callable[[T], object]) -> T:
        """The same for what opens something: a caller that is cancelled does not get it, and it is
        closed."""
        return await _ended(self._begun(opening), close)

    def close(self) -> None:
        """The threads end when their calls have."""
        self._pool.shutdown(wait=False)

    def _begun(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._pool, call)


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for what computes, on the threads that all share."""
    running = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    return await _ended(running, _nothing)


def _nothing(_result: object) -> None:
    pass


async def _ended(running: "asyncio.Future[T]", close: Callable[[T], object]) -> T:
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError:
                continue  # cancelled twice: the thread is the one thing that ends the wait
        if not running.cancelled() and running.exception() is None:
            close(running.result())
        raise
