"""Keeps how many watched each event, and answers it.

In: the journal's entries of sessions, the sessions there are, and what edges see. Out: rows by
event, minute, place and protocol. One instance counts, by a lease. After it died,
the next one counts the entries in between; of sessions that were open before, it misses the time in
between.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from umbel.catalogue.service import Catalogue
from umbel.delivery.attendance import store
from umbel.delivery.attendance.counting import AttendanceCounter
from umbel.delivery.attendance.model import Attendance, Gathered, NodeAttendance, Share
from umbel.delivery.attendance.protocols import ProtocolCounter, present
from umbel.delivery.sessions import counts as session_counts
from umbel.delivery.store import DeliveryStore
from umbel.kit.clock import Clock
from umbel.kit.controller import Controller, Pace
from umbel.kit.db import Database
from umbel.kit.journal import Journal, JournalTrimmed
from umbel.kit.leases import Leases
from umbel.media.model import StreamState

log = structlog.get_logger(__name__)

LEASE = "attendance"
LEASE_S = 60.0
_KEY = "count"


@dataclass(kw_only=True)
class AttendanceService:
    """Counts every `every_s` seconds. `functions`: what each does with its streams now."""

    database: Database
    delivery: DeliveryStore
    catalogue: Catalogue
    journal: Journal
    leases: Leases
    clock: Clock
    functions: Callable[[], Mapping[str, Mapping[str, StreamState]]] = dict
    every_s: float = 10.0
    _counter: AttendanceCounter | None = None
    _protocols: ProtocolCounter = field(default_factory=ProtocolCounter)
    _seq: int = 0
    _controller: Controller = field(init=False)

    def __post_init__(self) -> None:
        self._controller = Controller(self._reconcile)

    def pace(self) -> Pace:
        """Whether runs happen when they are due."""
        return self._controller.pace()

    async def run(self) -> None:
        """Count until cancelled."""
        await self._controller.run(_KEY)

    async def of(self, event_id: str) -> Attendance:
        """What is kept of the event, with its reservations to watch."""
        reservations = await self.catalogue.reservations.count_of(event_id)
        found = await self.database.read(store.attendance, event_id, reservations)
        watching = session_counts.by_nodes(await self.delivery.counts())
        now = session_counts.of_event(watching, event_id)
        return replace(found, places=_with_now(found.places, now))

    async def count(self) -> None:
        """Count what happened since the last time, if this instance is the one that does."""
        if not await self.leases.acquire(LEASE):
            self._counter = None
            self._protocols = ProtocolCounter()
            return
        try:
            await self._count()
        except JournalTrimmed:
            log.warning("attendance has a gap: the journal was trimmed before it was counted")
            self._counter = None
            head = await self.journal.head()
            await self.database.write(store.add, Gathered(), head)

    async def _reconcile(self, _key: str) -> float:
        await self.count()
        return self.every_s

    async def _count(self) -> None:
        by_protocol = self._protocols.sample(present(self.functions()), self.clock.now_s())
        if self._counter is None:
            await self._begin()
        counter = self._counter
        assert counter is not None
        while batch := await self.journal.since(self._seq):
            for change in batch:
                counter.take(change)
            self._seq = batch[-1].seq
        counter.advance(self.clock.now_s())
        gathered = replace(counter.gathered(), protocols=by_protocol)
        try:
            await self.database.write(store.add, gathered, self._seq)
        except BaseException:
            self._counter = None  # what was gathered is lost in part: begin where the rows end
            raise
        self._protocols.stored()

    async def _begin(self) -> None:
        """The sessions there are now, and those that were opened while nobody counted."""
        now_s = self.clock.now_s()
        head = await self.journal.head()
        sessions = await self.delivery.sessions()
        after = await self.database.read(store.seq)
        self._seq = head
        self._counter = AttendanceCounter(sessions, now_s)
        if after is None or after >= head:
            return
        missed: AttendanceCounter | None = None
        while after < head and (batch := await self.journal.since(after)):
            missed = missed or AttendanceCounter((), batch[0].at_s)
            for change in batch:
                if change.seq <= head:
                    missed.take(change)
            after = batch[-1].seq
        if missed is not None:
            missed.advance(now_s)
            await self.database.write(store.add, missed.gathered(), head)


def _with_now(
    places: Iterable[NodeAttendance], now: Mapping[tuple[str, str], int]
) -> tuple[NodeAttendance, ...]:
    """The places with those who are there now, also where nothing was counted yet."""
    known = {(one.access_node, one.edge_node): one for one in places}
    new = {
        key: NodeAttendance(access_node=key[0], edge_node=key[1], share=Share())
        for key in sorted(now)
        if key not in known
    }
    return tuple(replace(one, now=now.get(key, 0)) for key, one in {**known, **new}.items())
