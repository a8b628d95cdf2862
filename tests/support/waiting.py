"""Waiting for the world, with a deadline instead of a guess."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


async def until(
    ask: Callable[[], Awaitable[Value]],
    good: Callable[[Value], bool] = bool,
    *,
    within_s: float = 15.0,
) -> Value:
    """Ask again and again until the answer is good; the last answer is in the failure."""
    answer: object = None
    try:
        async with asyncio.timeout(within_s):
            while True:
                value = await ask()
                answer = value
                if good(value):
                    return value
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s; last: {answer}") from None
