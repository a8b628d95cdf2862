"""The journal for many readers: one task follows it, everybody else waits in memory.

In: `Journal.follow`. Out: `after(position)` gives what came since, from memory when it is recent
and from the database when it is not. An idle reader holds no connection and asks nothing.
"""

import asyncio
from collections import deque
from itertools import takewhile

import structlog

from umbel.kit.errors import UmbelError
from umbel.kit.journal import Change, Journal, JournalTrimmed
from umbel.kit.signal import Signal

log = structlog.get_logger(__name__)

_RETRY_S = 1.0


class Feed:
    """Owns the task that follows the journal."""

    def __init__(self, journal: Journal, *, recent: int = 1_000) -> None:
        self._journal = journal
        self._recent: deque[Change] = deque(maxlen=recent)
        self._head = 0
        self._news = Signal()
        self._task: asyncio.Task[None] | None = None
        self._trimmed = False
        self.closed = False
        self.following = False

    @property
    def head(self) -> int:
        """The newest change that was seen."""
        return self._head

    async def start(self) -> None:
        """Begin to follow. Raises DatabaseUnavailable."""
        self._head = await self._journal.head()
        self.following = True
        self._task = asyncio.create_task(self._follow(), name="feed")

    def close(self) -> None:
        """Tell every reader that this is the end."""
        self.closed = True
        self._news.notify()

    async def stop(self) -> None:
        """End the task."""
        self.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.following = False

    async def after(self, position: int, timeout_s: float) -> list[Change]:
        """Changes after `position`, oldest first, as soon as there are any; none after `timeout_s`
        or at the end. Raises JournalTrimmed when some of them are gone, or never were."""
        if position > self._head:
            raise JournalTrimmed
        news = self._news.listen()
        if position == self._head and not self.closed:
            await news.wait(timeout_s)
        if position == self._head:
            return []
        if self._recent and self._recent[0].seq <= position + 1:
            newer = takewhile(lambda change: change.seq > position, reversed(self._recent))
            return list(newer)[::-1]
        # What is newer is not followed yet: a reader that had it would be ahead of the head.
        return [one for one in await self._journal.since(position) if one.seq <= self._head]

    async def _follow(self) -> None:
        while True:
            try:
                await self._find_place()
                async for change in self._journal.follow(self._head):
                    self._recent.append(change)
                    self._head = change.seq
                    self._news.notify()
            except JournalTrimmed:
                # We were away too long: `after` reports it to those who need what is gone.
                self._recent.clear()
                self._trimmed = True
            except UmbelError as error:
                self.following = False
                log.warning("feed lost the journal", code=error.code)
                await asyncio.sleep(_RETRY_S)

    async def _find_place(self) -> None:
        head = await self._journal.head()
        # Behind us: another database, or an older state of this one.
        if self._trimmed or head < self._head:
            self._recent.clear()
            self._head = head
            self._trimmed = False
            self._news.notify()
        self.following = True
