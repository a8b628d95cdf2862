"""Waiting for the world, with a deadline instead of a guess."""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


async def until(
    ask: Callable[[], Awaitable[Value]],
    good: Callable[[Value], bool] = bool,
    *,
    within_s: float = 60.0,
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


def poll_until(
    ask: Callable[[], Value | None],
    *,
    within_s: float = 60.0,
    said: Callable[[], str] = lambda: "",
    every_s: float = 0.05,
) -> Value:
    """The same where no loop runs: the first answer that is true. `said` is in the failure."""
    deadline_s = time.monotonic() + within_s
    while not (value := ask()):
        assert time.monotonic() < deadline_s, said()
        time.sleep(every_s)
    return value


def poll_while_running(
    ask: Callable[[], Value | None],
    process: "subprocess.Popen[bytes] | None",
    *,
    within_s: float = 60.0,
    said: Callable[[], str] = lambda: "",
) -> Value:
    """As `poll_until`; it fails at once when the process that is to bring it about has ended."""

    def asked() -> Value | None:
        assert process is not None
        assert process.poll() is None, said()
        return ask()

    return poll_until(asked, within_s=within_s, said=said)
