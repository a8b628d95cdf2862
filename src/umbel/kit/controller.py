"""Level-triggered reconciliation: one task per key, wake-ups coalesced, failures retried.

In: `wake(key)` from anywhere on the loop, without payload. Out: `reconcile(key)`, never twice at
once for one key, and only while this instance holds the key's lease. It reads the state itself,
may be repeated at any time, and answers in how many seconds to run again unasked, or None.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from umbel.kit.errors import UmbelError

Reconcile = Callable[[str], Awaitable[float | None]]
Lease = Callable[[str], Awaitable[bool]]
log = structlog.get_logger(__name__)

_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 5.0


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
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_closed = False

    def wake(self, key: str) -> None:
        """Ask for a run of `key`. Two wake-ups before it starts are one; a wake-up after `close`
        does nothing."""
        if self._is_closed:
            return
        self._flags.setdefault(key, asyncio.Event()).set()
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._serve(key), name=f"reconcile:{key}")

    def keys(self) -> set[str]:
        """Every key with a task."""
        return set(self._tasks)

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
            except Exception:
                log.exception("reconcile crashed", key=key)
                again_s, retry_s = retry_s, min(2 * retry_s, _LONGEST_RETRY_S)
            if self._flags.get(key) is flag:  # it may have ended in `forget`
                await _woken(flag, again_s)

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
