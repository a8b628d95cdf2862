"""Level-triggered reconciliation: one task per key, wake-ups coalesced, failures retried.

In: `wake(key)` from anywhere on the loop, without payload. Out: `reconcile(key)`, never twice at
once for one key, and only while this instance holds the key's lease. It reads the state itself,
may be repeated at any time, and answers in how many seconds to run again unasked, or None.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from umbel.kit.errors import UmbelError

Reconcile = Callable[[str], Awaitable[float | None]]
Lease = Callable[[str], Awaitable[bool]]
log = structlog.get_logger(__name__)

_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 5.0


class Pace(NamedTuple):
    """How a loop does: seconds since a run ended (None: no run has), and how long the key that
    waits longest has waited for its run, or has been in it."""

    ran_s_ago: float | None
    late_s: float


class Controller:
    """Owns one task per key that was ever woken.

    `lease(key)` takes or renews the key's lease; while another instance has it, `standby(key)`
    runs instead. Without a lease, `reconcile` always runs.
    """

    def __init__(
        self, reconcile: Reconcile, *, lease: Lease | None = None, standby: Reconcile | None = None
    ) -> None:
        self._reconcile = reconcile
        self._lease = lease
        self._standby = standby
        self._flags: dict[str, asyncio.Event] = {}
        self._due_s: dict[str, float] = {}
        self._ran_s: float | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_closed = False

    def wake(self, key: str) -> None:
        """Ask for a run of `key`. Two wake-ups before it starts are one; a wake-up after `close`
        does nothing."""
        if self._is_closed:
            return
        self._flags.setdefault(key, asyncio.Event()).set()
        loop = asyncio.get_running_loop()
        self._due_s[key] = min(self._due_s.get(key, loop.time()), loop.time())
        if key not in self._tasks:
            self._tasks[key] = loop.create_task(self._serve(key), name=f"reconcile:{key}")

    def keys(self) -> set[str]:
        """Every key with a task."""
        return set(self._tasks)

    def pace(self) -> Pace:
        """Whether runs happen when they are due."""
        now_s = asyncio.get_running_loop().time()
        late_s = max(0.0, now_s - min(self._due_s.values(), default=now_s))
        return Pace(None if self._ran_s is None else now_s - self._ran_s, late_s)

    async def run(self, key: str) -> None:
        """Serve one key until cancelled, then close."""
        self.wake(key)
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def forget(self, key: str) -> None:
        """End the key's task."""
        self._flags.pop(key, None)
        self._due_s.pop(key, None)
        task = self._tasks.pop(key, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """End every task; nothing runs any more."""
        self._is_closed = True
        await asyncio.gather(*(self.forget(key) for key in list(self._tasks)))

    async def _serve(self, key: str) -> None:
        flag = self._flags[key]
        retry_s = _FIRST_RETRY_S
        while self._flags.get(key) is flag:
            flag.clear()
            try:
                again_s = await self._run_once(key)
                retry_s = _FIRST_RETRY_S
            except UmbelError as error:
                log.warning("reconcile failed", key=key, code=error.code, reason=error.message)
                again_s, retry_s = retry_s, min(2 * retry_s, _LONGEST_RETRY_S)
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                log.warning("reconcile cancelled from within", key=key)
                again_s, retry_s = retry_s, min(2 * retry_s, _LONGEST_RETRY_S)
            except Exception:
                log.exception("reconcile crashed", key=key)
                again_s, retry_s = retry_s, min(2 * retry_s, _LONGEST_RETRY_S)
            if self._flags.get(key) is flag:  # it may have ended in `forget`
                self._plan(key, flag, again_s)
                await _woken(flag, again_s)

    def _plan(self, key: str, flag: asyncio.Event, again_s: float | None) -> None:
        """Note when the next run is due."""
        self._due_s.pop(key, None)
        self._ran_s = asyncio.get_running_loop().time()
        if flag.is_set():
            again_s = 0.0
        if again_s is not None:
            self._due_s[key] = self._ran_s + again_s

    async def _run_once(self, key: str) -> float | None:
        if self._lease is None or await self._lease(key):
            return await self._reconcile(key)
        return None if self._standby is None else await self._standby(key)


async def _woken(flag: asyncio.Event, again_s: float | None) -> None:
    try:
        async with asyncio.timeout(again_s):
            await flag.wait()
    except TimeoutError:
        pass


def _is_cancelled() -> bool:
    """Whether somebody cancels this task, and not only something within it."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
