"""One subscriber's queue and the task that empties it: one POST at a time, in order.

In: notices that the service puts. Out: POSTs, and the Progress after each, saved. A full
queue drops its oldest notice: the receiver sees a gap in `sequence`; others are not affected.
"""

import asyncio
import random
from collections import deque
from dataclasses import dataclass, replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError
from umbel.notify import rules, signing
from umbel.notify.model import Notice, Progress, Subscriber
from umbel.notify.ports import Courier, Undelivered
from umbel.notify.rules import Failure, Patience
from umbel.notify.store import Backlog, NotifyStore

log = structlog.get_logger(__name__)

_SAVE_EVERY_S = 1.0
_IDLE_STEP = 1_000


@dataclass(frozen=True, kw_only=True)
class Post:
    """How to send one notice once."""

    courier: Courier
    clock: Clock
    patience: Patience

    async def send(
        self, subscriber: Subscriber, secret: str, notice: Notice, sequence: int
    ) -> Failure | None:
        """Sign and send; answers why it was not taken, or nothing."""
        body = signing.body_of(notice, sequence)
        headers = {
            "Content-Type": "application/json",
            "Umbel-Event": notice.kind,
            signing.SIGNATURE: signing.sign(secret, body, self.clock.now_s()),
        }
        try:
            async with asyncio.timeout(self.patience.post_s):
                answer = await self.courier.post(subscriber.url, body, headers)
        except TimeoutError:
            return Failure(reason=f"no answer within {self.patience.post_s:g} s")
        except Undelivered as error:
            return Failure(reason=error.message)
        return rules.classify(answer.status, answer.retry_after_s)


class Lane:
    """Owns the subscriber's queue, progress and task."""

    def __init__(
        self, subscriber: Subscriber, secret: str, post: Post, store: NotifyStore, owner: str
    ) -> None:
        self.subscriber = subscriber
        self.progress = subscriber.progress
        self._secret = secret
        self._post = post
        self._store = store
        self._owner = owner
        self._draw = random.Random()  # noqa: S311 -- spreads retries, guards nothing
        self._last_sequence = self.progress.sequence
        self._waiting: deque[tuple[int, Notice]] = deque()
        self._in_flight = False
        self._news = asyncio.Event()
        self._nudged = asyncio.Event()
        self._saved = self.progress
        self._saved_s = 0.0
        self._is_gone = False
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Notices in the queue, with the one that is being sent."""
        return len(self._waiting) + self._in_flight

    @property
    def is_over(self) -> bool:
        """Whether nothing is sent any more: given up, removed, or served elsewhere."""
        return self._task is not None and self._task.done()

    def start(self, backlog: Backlog) -> None:
        """Begin with what waits in the database."""
        self.count_missed(backlog.missed)
        for notice in backlog.notices:
            self.put(notice)
        self._task = asyncio.create_task(self._run(), name=f"notify:{self.subscriber.id}")

    async def close(self) -> None:
        """End the task and save how far it came; the rest waits in the database."""
        if self._task is not None:
            self._task.cancel()
            (end,) = await asyncio.gather(self._task, return_exceptions=True)
            if isinstance(end, Exception):
                log.error("lane crashed", subscriber=self.subscriber.id, error=repr(end))
        if self.progress != self._saved:
            await self._save()

    def put(self, notice: Notice) -> None:
        """Queue the notice if the subscriber wants its kind."""
        is_old = notice.id <= self.subscriber.progress.cursor
        if is_old or notice.kind not in self.subscriber.kinds:
            return
        self._last_sequence += 1
        self._waiting.append((self._last_sequence, notice))
        if len(self._waiting) > self._post.patience.most_waiting:
            self._waiting.popleft()
            self._count_dropped(1)
        self._news.set()

    def count_missed(self, count: int) -> None:
        """So many notices are lost: leave a gap in the sequence that the receiver sees."""
        self._last_sequence += count
        if count:
            self._count_dropped(count)

    def wake(self) -> None:
        """The subscriber was seen to answer: try again now."""
        self._nudged.set()

    def skip_to(self, position: int) -> None:
        """Nothing up to the notice `position` was for this subscriber, or it is queued."""
        if not self.waiting and position > self.progress.cursor:
            self.progress = replace(self.progress, cursor=position, sequence=self._last_sequence)
            if position - self._saved.cursor >= _IDLE_STEP:
                self._news.set()

    # -- inside -----------------------------------------------------------------------------

    def _count_dropped(self, count: int) -> None:
        if not self.progress.dropped:
            log.warning("subscriber is too slow", subscriber=self.subscriber.id)
        self.progress = replace(self.progress, dropped=self.progress.dropped + count)

    async def _run(self) -> None:
        while not (self._is_gone or rules.is_dead(self.progress)):
            await self._news.wait()
            self._news.clear()
            while self._waiting and not (self._is_gone or rules.is_dead(self.progress)):
                sequence, notice = self._waiting.popleft()
                self._in_flight = True
                await self._deliver(sequence, notice)
                self._in_flight = False
                if not self._waiting or self._now_s() - self._saved_s >= _SAVE_EVERY_S:
                    await self._save()
            if self._saved.cursor != self.progress.cursor:
                await self._save()
        self._waiting.clear()

    async def _deliver(self, sequence: int, notice: Notice) -> None:
        """Try until it is taken or the subscriber is given up."""
        while not (self._is_gone or rules.is_dead(self.progress)):
            await self._due()
            why = await self._post.send(self.subscriber, self._secret, notice, sequence)
            if why is None:
                self.progress = rules.answered(self.progress, notice.id, sequence, self._now_s())
                return
            draw, patience = self._draw.random(), self._post.patience
            self.progress = rules.failed(self.progress, why, self._now_s(), draw, patience)
            self._log(why)
            await self._save()

    async def _due(self) -> None:
        wait_s = rules.due_s(self.progress, self._now_s(), self._post.patience)
        if not wait_s:
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._nudged.wait()
        except TimeoutError:
            pass
        self._nudged.clear()

    def _log(self, why: Failure) -> None:
        said = {"subscriber": self.subscriber.id, "reason": why.reason}
        if rules.is_dead(self.progress):
            log.error("subscriber given up", **said, failures=self.progress.failures)
        elif self.progress.failures == 1:
            log.warning("subscriber does not take notices", **said)

    async def _save(self) -> None:
        progress: Progress = self.progress
        try:
            is_there = await self._store.save(self.subscriber.id, progress, self._owner)
        except UmbelError as error:
            # What was accepted since is sent once more after a restart: receivers know its id.
            log.warning("subscriber not saved", subscriber=self.subscriber.id, code=error.code)
            return
        self._saved, self._saved_s = progress, self._now_s()
        self._is_gone = not is_there

    def _now_s(self) -> float:
        return self._post.clock.now_s()
