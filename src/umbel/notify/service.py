"""The notification service's door: callbacks registered, events published, notices sent.

In: operators' registrations, events from wherever they happen (`publish`, `see`: neither waits nor
fails). Out: rows first, then POSTs; what is not delivered outlives a restart. One task writes and
hands out; each subscriber has a lane of its own.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError
from umbel.kit.ids import new_id
from umbel.kit.journal import Journal
from umbel.kit.sealing import Sealer
from umbel.kit.signal import Signal
from umbel.notify import callbacks, rules
from umbel.notify.lane import Lane, Post
from umbel.notify.model import PING, Kind, Notice, Roster, Subscriber
from umbel.notify.ports import Courier
from umbel.notify.rules import Failure, Patience
from umbel.notify.store import NotifyStore

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the service allows itself: subscribers, events that wait to be written, notices kept
    for those who are behind, and how often it looks unasked; seconds."""

    most_subscribers: int = 100
    most_unwritten: int = 10_000
    keep: int = 10_000
    batch: int = 500
    look_s: float = 1.0
    lease_s: float = 15.0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A subscriber as it is now, and how many notices wait for it here."""

    subscriber: Subscriber
    waiting: int = 0


@dataclass(frozen=True, kw_only=True)
class Pinged:
    """What a test notice came to; `error` is empty when it was taken."""

    error: str
    took_s: float


@dataclass(kw_only=True)
class Notifier:
    """One instance's share of the service."""

    store: NotifyStore
    journal: Journal
    courier: Courier
    sealer: Sealer
    clock: Clock
    owner: str
    patience: Patience = field(default_factory=Patience)
    bounds: Bounds = field(default_factory=Bounds)
    _unwritten: deque[Notice] = field(default_factory=deque)
    _in_hand: list[Notice] = field(default_factory=list)
    _lost: int = 0
    _written: int = 0
    _lanes: dict[str, Lane] = field(default_factory=dict)
    _position: int | None = None
    _renew_at_s: float = 0.0
    _news: Signal = field(default_factory=Signal)
    _seen: Roster | None = None
    _seen_s: float = 0.0
    _told: Roster | None = None

    def __post_init__(self) -> None:
        self._post = Post(courier=self.courier, clock=self.clock, patience=self.patience)

    # -- what happens -----------------------------------------------------------------------

    def publish(self, kind: Kind, subject: str, body: Mapping[str, object]) -> None:
        """Report what happened to those who want to know, in the order of these calls. Returns at
        once. When the database is away for so long that too much waits, the oldest is lost."""
        if len(self._unwritten) >= self.bounds.most_unwritten:
            self._unwritten.popleft()
            self._lost += 1
        notice = Notice(at_s=self.clock.now_s(), kind=kind, subject=subject, body=dict(body))
        self._unwritten.append(notice)
        self._news.notify()

    def observe(self, functions: Roster) -> None:
        """These functions run now: tell who appeared and who left since the last time, which may
        have been before a restart. Returns at once."""
        now_s = self.clock.monotonic_s()
        if now_s - self._seen_s > self.bounds.lease_s:
            self._told = None  # another instance may have read it since
        self._seen_s = now_s
        self._seen = dict(functions)
        if self._seen != self._told:
            self._news.notify()

    # -- subscribers ------------------------------------------------------------------------

    async def register(
        self, url: str, kinds: Iterable[Kind], note: str = ""
    ) -> tuple[Subscriber, str]:
        """A new subscriber, told of what comes from now on, and its secret, which is not shown
        again. Raises BadCallback, TooManySubscribers."""
        id_, secret = new_id("sub"), f"whsec_{secrets.token_urlsafe(32)}"
        now_s = self.clock.now_s()
        subscriber = Subscriber(
            id=id_,
            url=callbacks.check(url),
            kinds=frozenset(kinds),
            note=note,
            created_s=now_s,
            sealed_secret=self.sealer.seal(secret, id_),
        )
        until_s = now_s + self.bounds.lease_s
        await self.store.add(subscriber, self.owner, until_s, self.bounds.most_subscribers)
        self._renew_soon()
        return subscriber, secret

    async def subscribers(self) -> list[Standing]:
        """Every subscriber with its state."""
        return [self._standing(one) for one in await self.store.subscribers()]

    async def subscriber(self, id_: str) -> Standing:
        """One of them. Raises NoSuchSubscriber."""
        return self._standing(await self.store.subscriber(id_))

    async def remove(self, id_: str) -> None:
        """Tell it no more. Raises NoSuchSubscriber."""
        await self.store.remove(id_)
        await self._drop(id_)

    async def ping(self, id_: str) -> Pinged:
        """Send a test notice now, outside the queue, with sequence 0. A good answer brings one back
        that was given up: it gets what is still kept for it. Raises NoSuchSubscriber,
        SecretSealed."""
        subscriber = await self.store.subscriber(id_)
        secret = self.sealer.open(subscriber.sealed_secret, id_)
        began_s = self.clock.monotonic_s()
        notice = Notice(at_s=self.clock.now_s(), kind=PING, subject=id_)
        why = await self._post.send(subscriber, secret, notice, 0)
        if why is None:
            await self._revive(id_)
        took_s = self.clock.monotonic_s() - began_s
        return Pinged(error="" if why is None else why.reason, took_s=took_s)

    # -- the task ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Write, hand out and send until cancelled. A database that is away is waited for."""
        try:
            while True:
                news = self._news.listen()
                try:
                    is_more = await self._run_once()
                except UmbelError as error:
                    log.warning("notices wait", code=error.code, unwritten=len(self._unwritten))
                    news, is_more = Signal().listen(), False
                except Exception:
                    log.exception("notices wait")
                    news, is_more = Signal().listen(), False
                if not is_more:
                    await news.wait(self.bounds.look_s)
        finally:
            await asyncio.gather(*(lane.close() for lane in self._lanes.values()))
            self._lanes.clear()
            await self._release()

    async def close(self) -> None:
        """Let go of the connections."""
        await self.courier.close()

    async def _run_once(self) -> bool:
        """One round; answers whether there is more to do at once."""
        is_more = await self._write()
        if self._position is None:
            self._position = await self.store.head()
        if self.clock.monotonic_s() >= self._renew_at_s:
            await self._renew(self._position)
        return await self._dispatch(self._position) or is_more

    async def _write(self) -> bool:
        # What is in hand stays there until it is written, however often that fails.
        if not self._in_hand:
            count = min(len(self._unwritten), self.bounds.batch)
            self._in_hand = [self._unwritten.popleft() for _ in range(count)]
        roster, told = await self._roster_changes()
        batch = [*self._in_hand, *told]
        if batch:
            await self.store.append(batch, roster)
            self._in_hand = []
            self._report_gaps()
            await self._trim(len(batch))
        self._told = roster if roster is not None else self._told
        return bool(self._unwritten)

    async def _roster_changes(self) -> tuple[Roster | None, list[Notice]]:
        """The functions as they are, if that is news to us, and what to tell of them."""
        if self._seen is None or self._seen == self._told:
            return None, []
        seen = self._seen
        told = await self.store.roster()
        return seen, list(rules.changes(told, seen, self.clock.now_s()))

    def _report_gaps(self) -> None:
        """Have every receiver see a gap for what was never written."""
        if self._lost:
            log.error("events were lost while the database was away", count=self._lost)
            for lane in self._lanes.values():
                lane.count_missed(self._lost)
            self._lost = 0

    async def _trim(self, count: int) -> None:
        self._written += count
        if self._written >= self.bounds.keep // 10:
            self._written = 0
            await self.store.trim(self.bounds.keep)

    async def _renew(self, position: int) -> None:
        """Take over subscribers without an owner; drop those another instance owns."""
        lease_s = self.bounds.lease_s
        self._renew_at_s = self.clock.monotonic_s() + lease_s / 3
        now_s = self.clock.now_s()
        held = await self.store.hold(self.owner, now_s=now_s, ttl_s=lease_s)
        mine = {one.id: one for one in held if not rules.is_dead(one.progress)}
        over = {id_ for id_, lane in self._lanes.items() if lane.is_over}
        for id_ in over | (self._lanes.keys() - mine.keys()):
            await self._drop(id_)
        for id_ in mine.keys() - self._lanes.keys() - over:
            await self._open(mine[id_], position)

    async def _open(self, subscriber: Subscriber, position: int) -> None:
        try:
            secret = self.sealer.open(subscriber.sealed_secret, subscriber.id)
        except UmbelError as error:
            why = Failure(reason=error.message, is_final=True)
            dead = rules.failed(subscriber.progress, why, self.clock.now_s(), 0.0, self.patience)
            await self.store.save(subscriber.id, dead)
            return
        most = self.patience.most_waiting
        backlog = await self.store.backlog(subscriber, position, most)
        lane = Lane(subscriber, secret, self._post, self.store, self.owner)
        self._lanes[subscriber.id] = lane
        lane.start(backlog)

    async def _dispatch(self, position: int) -> bool:
        """Put new notices into the lanes; answers whether there may be more."""
        batch = await self.store.since(position, self.bounds.batch)
        for notice in batch:
            for lane in self._lanes.values():
                lane.put(notice)
        if batch:
            self._position = batch[-1].id
            for lane in self._lanes.values():
                lane.skip_to(batch[-1].id)
        return len(batch) == self.bounds.batch

    async def _drop(self, id_: str) -> None:
        lane = self._lanes.pop(id_, None)
        if lane is not None:
            await lane.close()

    async def _revive(self, id_: str) -> None:
        lane = self._lanes.get(id_)
        if lane is not None and not lane.is_over:
            lane.wake()
            return
        await self._drop(id_)
        progress = (await self.store.subscriber(id_)).progress
        if rules.is_dead(progress):
            await self.store.save(id_, rules.revived(progress, self.clock.now_s()))
            self._renew_soon()

    async def _release(self) -> None:
        try:
            await self.store.release(self.owner)
        except UmbelError as error:
            log.warning("subscribers not released", code=error.code)

    def _standing(self, subscriber: Subscriber) -> Standing:
        lane = self._lanes.get(subscriber.id)
        if lane is None:
            return Standing(subscriber=subscriber)
        return Standing(
            subscriber=replace(subscriber, progress=lane.progress), waiting=lane.waiting
        )

    def _renew_soon(self) -> None:
        self._renew_at_s = 0.0
        self._news.notify()
