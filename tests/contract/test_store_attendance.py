"""Attendance on both databases: counted once, by one instance, and kept after the sessions."""

from dataclasses import replace
from typing import Any

import pytest

from support.clocks import SetClock
from umbel.catalogue.model import EventDraft, EventEvent
from umbel.catalogue.service import Catalogue
from umbel.delivery.attendance import model, store
from umbel.delivery.attendance.model import Attendance, Share
from umbel.delivery.attendance.service import LEASE_S, AttendanceService
from umbel.delivery.model import Session
from umbel.delivery.store import DeliveryStore
from umbel.kit.db import Database, DatabaseDiskFull
from umbel.kit.journal import Journal
from umbel.kit.leases import Leases
from umbel.media.model import StreamRole, StreamState

NOON_S = 1_800_000_000.0


def service(database: Database, clock: SetClock, owner: str = "a") -> AttendanceService:
    return AttendanceService(
        database=database,
        delivery=DeliveryStore(database),
        catalogue=Catalogue(database, clock),
        journal=Journal(database),
        leases=Leases(database, clock, owner, LEASE_S),
        clock=clock,
    )


async def event(database: Database, clock: SetClock) -> str:
    catalogue = Catalogue(database, clock)
    provider = await catalogue.ensure_provider("City", "pe1")
    draft = EventDraft(
        provider_id=provider.id, title="T", starts_s=clock.at_s, ends_s=clock.at_s + 3_600
    )
    return (await catalogue.add_event(draft)).id


async def opened(database: Database, clock: SetClock, event_id: str, session_id: str) -> Session:
    session = Session(
        id=session_id,
        stream=event_id,
        access_node="pe1",
        function="edge-pe2-1",
        edge_node="pe2",
        opened_s=clock.at_s,
        seen_s=clock.at_s,
        expires_s=clock.at_s + 3_600,
    )
    await DeliveryStore(database).open_session(session, None)
    return session


def sums(of: Attendance) -> tuple[int, float, int]:
    return of.whole.opened, of.whole.watched_s, of.whole.peak


async def test_it_is_kept_after_the_sessions_are_gone(database: Database) -> None:
    clock = SetClock(NOON_S)
    event_id, counting = await event(database, clock), service(database, clock)
    await counting.count()
    await opened(database, clock, event_id, "s1")
    clock.at_s += 30
    await opened(database, clock, event_id, "s2")
    assert [(one.edge_node, one.now) for one in (await counting.of(event_id)).places] == [
        ("pe2", 2)
    ]
    await counting.count()
    assert [one.now for one in (await counting.of(event_id)).places] == [2]
    clock.at_s += 60
    catalogue = counting.catalogue
    await catalogue.transition(event_id, EventEvent.OPEN)
    await catalogue.transition(event_id, EventEvent.END)
    await DeliveryStore(database).drop_tree(event_id, at_s=clock.at_s)
    clock.at_s += 600
    await counting.count()
    found = await counting.of(event_id)
    assert sums(found) == (2, 150.0, 2)
    assert [(one.at_s - NOON_S, one.share.watched_s) for one in found.minutes] == [
        (0, 90.0),
        (60, 60.0),
    ]
    (place,) = found.places
    assert (place.access_node, place.edge_node, place.share) == ("pe1", "pe2", found.whole)
    assert sums(await counting.of("ev_unknown")) == (0, 0.0, 0)


async def test_protocols_are_those_that_edges_see(database: Database) -> None:
    clock = SetClock(NOON_S)
    event_id, counting = await event(database, clock), service(database, clock)
    edge = StreamState(stream=event_id, role=StreamRole.EDGE, viewers=("s1",))
    counting.functions = lambda: {"edge-pe2-1": {event_id: edge}}
    await counting.count()
    for viewers in (("s1", "s2"), ("s1", "s2")):
        clock.at_s += 10
        edge = replace(edge, viewers=viewers, hls_viewers=("s2",))
        await counting.count()
    found = (await counting.of(event_id)).protocols
    assert [(one.protocol, one.share) for one in found] == [
        ("hls", Share(opened=1, watched_s=20.0, peak=1)),
        ("whep", Share(opened=0, watched_s=20.0, peak=1)),
    ]


class FullDisk(Database):
    """A database that can be read, and has no room for more where `is_full`."""

    is_full = False

    async def write(self, unit: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self.is_full:
            raise DatabaseDiskFull
        return await super().write(unit, *args, **kwargs)


async def test_what_was_seen_while_the_disk_was_full_is_written_later(
    database: Database, database_url: str
) -> None:
    clock = SetClock(NOON_S)
    event_id, counting = await event(database, clock), service(database, clock)
    edge = StreamState(stream=event_id, role=StreamRole.EDGE, viewers=("s1",))
    counting.functions = lambda: {"edge-pe2-1": {event_id: edge}}
    counting.database = disk = FullDisk(database_url)
    try:
        await counting.count()
        disk.is_full = True
        for viewers in (("s1", "s2", "s3"), ("s1",)):
            clock.at_s += 10
            edge = replace(edge, viewers=viewers)
            with pytest.raises(DatabaseDiskFull):
                await counting.count()
        disk.is_full = False
        for _ in range(2):
            clock.at_s += 10
            await counting.count()
    finally:
        await disk.close()
    (whep,) = (await counting.of(event_id)).protocols
    assert whep.share == Share(opened=2, watched_s=30.0 + 3 * 10.0, peak=3)


async def test_another_instance_goes_on_where_the_first_died(database: Database) -> None:
    clock = SetClock(NOON_S)
    event_id = await event(database, clock)
    first, second = service(database, clock, "a"), service(database, clock, "b")
    await first.count()
    session = await opened(database, clock, event_id, "s1")
    clock.at_s += 10
    await first.count()
    await second.count()  # the first one has the lease
    assert sums(await second.of(event_id)) == (1, 10.0, 1)
    # Nobody counts this one, who comes and goes.
    await opened(database, clock, event_id, "s2")
    clock.at_s += 20
    await DeliveryStore(database).close_session(replace(session, id="s2"), at_s=clock.at_s)
    clock.at_s += LEASE_S
    await second.count()
    clock.at_s += 5
    await second.count()
    opened_, watched_s, peak = sums(await second.of(event_id))
    assert (opened_, peak) == (2, 1)
    assert watched_s == pytest.approx(10 + 20 + 5)
    await first.count()
    assert (await first.of(event_id)).whole.opened == 2, "the lease is another's"


async def test_minutes_are_bounded_and_sums_go_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_MINUTES", 3)
    assert model.MOST_MINUTES > 3
    clock = SetClock(NOON_S)
    event_id, counting = await event(database, clock), service(database, clock)
    await counting.count()
    await opened(database, clock, event_id, "s1")
    for _ in range(10):
        clock.at_s += 60
        await counting.count()
    found = await counting.of(event_id)
    assert (len(found.minutes), found.whole.watched_s) == (3, 600.0)


async def test_a_trimmed_journal_leaves_a_gap_and_counting_goes_on(database: Database) -> None:
    clock = SetClock(NOON_S)
    event_id, counting = await event(database, clock), service(database, clock)
    await counting.count()
    await opened(database, clock, event_id, "s1")
    for _ in range(3):
        await event(database, clock)
    await Journal(database, keep=1).trim()
    await counting.count()
    await counting.count()
    clock.at_s += 7
    await counting.count()
    assert sums(await counting.of(event_id)) == (0, 7.0, 1)
