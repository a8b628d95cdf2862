"""Waits for a database that is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from umbel.kit.errors import Unavailable

T = TypeVar("T")
RETRY_S = 0.5
log = structlog.get_logger(__name__)


async def until_answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again and again until the database answers."""
    while True:
        try:
            return await ask()
        except Unavailable as error:
            log.warning("waiting for the database", reason=error.message)
            await asyncio.sleep(RETRY_S)
