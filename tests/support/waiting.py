"""Waiting for a condition with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable

PERIOD_S = 0.02


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float = 10.0) -> None:
    """Return once the condition holds; TimeoutError when it never does."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 -- what is waited for gives no signal
            await asyncio.sleep(PERIOD_S)
