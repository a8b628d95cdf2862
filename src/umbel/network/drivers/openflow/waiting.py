"""Those who wait for one task's work, and its own waiting."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def answering(waiting: Iterable[asyncio.Future[None]]) -> Iterator[None]:
    """Waiting callers get the result, or the error."""
    try:
        yield
    except asyncio.CancelledError:
        for one in waiting:
            one.cancel()
        raise
    except Exception as error:
        for one in waiting:
            if not one.done():
                one.set_exception(error)
        raise
    for one in waiting:
        if not one.done():
            one.set_result(None)


async def until(flag: asyncio.Event, timeout_s: float | None) -> None:
    """Wait for the flag, at most so long."""
    try:
        async with asyncio.timeout(timeout_s):
            await flag.wait()
    except TimeoutError:
        pass
