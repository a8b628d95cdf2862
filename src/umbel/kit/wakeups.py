"""Events wake, state decides: one task per key, wake-ups coalesced, failures retried.

In: `wake(key)` from anywhere on the loop. Out: `look(key)` runs, never twice at once for one key.
A look answers in how many seconds to look again unasked, or None to sleep until woken.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from umbel.kit.errors import UmbelError

Look = Callable[[str], Awaitable[float | None]]
log = structlog.get_logger(__name__)

_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 5.0


class Wakeups:
    """Owns one task per key that was ever woken."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._flags: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_closed = False

    def wake(self, key: str) -> None:
        """Ask for a look at `key`. Asking twice before the look starts is asking once; asking
        after `close` is nothing: the world may go on talking."""
        if self._is_closed:
            return
        self._flags.setdefault(key, asyncio.Event()).set()
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._attend(key), name=f"look:{key}")

    def keys(self) -> set[str]:
        """Every key with a task."""
        return set(self._tasks)

    async def forget(self, key: str) -> None:
        """End the key's task."""
        self._flags.pop(key, None)
        task = self._tasks.pop(key, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """End every task; no more looks."""
        self._is_closed = True
        await asyncio.gather(*(self.forget(key) for key in list(self._tasks)))

    async def _attend(self, key: str) -> None:
        flag = self._flags[key]
        retry_s = _FIRST_RETRY_S
        while self._flags.get(key) is flag:
            flag.clear()
            try:
                again_s = await self._look(key)
                retry_s = _FIRST_RETRY_S
            except UmbelError as error:
                log.warning("look failed", key=key, code=error.code, reason=error.message)
                again_s, retry_s = retry_s, min(2 * retry_s, _LONGEST_RETRY_S)
            except Exception:
                log.exception("look crashed", key=key)
                again_s, retry_s = retry_s, min(2 * retry_s, _LONGEST_RETRY_S)
            if self._flags.get(key) is flag:  # the look may have ended in `forget`
                await _woken(flag, again_s)


async def _woken(flag: asyncio.Event, again_s: float | None) -> None:
    try:
        async with asyncio.timeout(again_s):
            await flag.wait()
    except TimeoutError:
        pass
