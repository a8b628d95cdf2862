"""The callers that wait for one task's work."""

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
