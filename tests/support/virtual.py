"""Virtual time for whole scenarios: timers fire at once, in order, while real I/O is waited for.

A database driver works in threads; time stands still as long as one of its units is open, and as
long as another call runs in a thread of an executor: the hash of a password, a file. A scenario of
minutes runs in a second and always in the same order.
"""

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import Any, TypeVar, TypeVarTuple

from umbel.kit.db import Database

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_GRACE_S = 0.001
_OWN_FILES = 1
"""The pipe by which threads wake the loop."""
_REAL_WAIT_S = 30.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when nothing else is going on."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.busy = 0
        super().__init__(_VirtualSelector(self))

    def time(self) -> float:
        return self.now_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self.busy += 1
        future.add_done_callback(self._returned)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """A time limit of the runner would be virtual, and over before the threads have ended."""
        await super().shutdown_default_executor()

    def _returned(self, _future: object) -> None:
        self.busy -= 1


class _VirtualSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if self._loop.busy or timeout is None:
            return super().select(_REAL_WAIT_S)
        # Where no socket is open, nobody from outside can wake the loop: a wait would be idle.
        ready = super().select(_GRACE_S if len(self.get_map()) > _OWN_FILES else 0)
        if not ready:
            self._loop.now_s += timeout
        return ready


class PatientDatabase(Database):
    """A database during whose units virtual time stands still: also while a thread goes on with a
    unit whose caller was cancelled."""

    def __init__(self, url: str) -> None:
        super().__init__(url, durable=False)

    def _begun(self) -> Callable[[], None]:
        busy, ended = _Busy(), super()._begun()
        busy.__enter__()

        def done() -> None:
            busy.__exit__()
            ended()

        return done


def standing_still() -> AbstractContextManager[None]:
    """Virtual time stands still in it, as something real is waited for."""
    return _Busy()


class _Busy(AbstractContextManager[None]):
    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        if isinstance(self._loop, VirtualLoop):
            self._loop.busy += 1

    def __exit__(self, *_: object) -> None:
        if isinstance(self._loop, VirtualLoop):
            self._loop.busy -= 1


def scenario(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def until(what: Callable[[], Awaitable[bool]], *, within_s: float, why: str) -> float:
    """Wait for a condition; answers after how many (virtual) seconds it held."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while not await what():
        if loop.time() - began_s > within_s:
            raise AssertionError(f"not within {within_s} s: {why}")
        await asyncio.sleep(0.02)
    return loop.time() - began_s
