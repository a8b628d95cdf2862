"""Blocking calls of drivers, on threads: a caller that is cancelled waits until the call has ended.

Without that a file would be closed while a thread still writes to it.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the call returns or raises. It has ended when this returns, also when cancelled."""
    return await _ended(asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs)), _nothing)


async def opened_in_thread(opening: Callable[[], T], close: Callable[[T], object]) -> T:
    """The same for what opens something: a caller that is cancelled does not get it, and it is
    closed."""
    return await _ended(asyncio.ensure_future(asyncio.to_thread(opening)), close)


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
