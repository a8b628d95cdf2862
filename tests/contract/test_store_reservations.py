"""Reservations keep their promises on SQLite and on PostgreSQL, also between two instances."""

import asyncio

import pytest

from support.clocks import SetClock
from support.passwords import SharedHashes
from umbel.catalogue.model import (
    Event,
    EventDraft,
    EventEvent,
    EventPatch,
    EventState,
    NoSuchEvent,
    NoSuchUser,
    UserRole,
)
from umbel.catalogue.reservations import service
from umbel.catalogue.reservations.model import (
    BadMonth,
    NoSuchFeed,
    NotReservable,
    Purpose,
    TooManyReservations,
)
from umbel.catalogue.service import Catalogue
from umbel.kit.db import Database

PASSWORD = "correct horse battery"
NOW_S = 1_803_000_000.0  # 2027-02-18
DAY_S = 86_400.0


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW_S)


@pytest.fixture
async def catalogue(database: Database, clock: SetClock) -> Catalogue:
    made = Catalogue(database, clock, passwords=SharedHashes(PASSWORD))
    for name in ("ann", "bob"):
        await made.add_user(name, PASSWORD, UserRole.VIEWER)
    return made


async def event(catalogue: Catalogue, after_s: float = DAY_S, title: str = "Council") -> Event:
    provider = await catalogue.ensure_provider("City", "pe1")
    starts_s = NOW_S + after_s
    draft = EventDraft(
        provider_id=provider.id, title=title, starts_s=starts_s, ends_s=starts_s + 3_600
    )
    return await catalogue.add_event(draft)


async def titles(catalogue: Catalogue, who: str = "ann") -> list[str]:
    return [one.event.title for one in await catalogue.reservations.every(who)]


async def test_a_viewer_reserves_changes_and_cancels(catalogue: Catalogue, clock: SetClock) -> None:
    later, sooner = await event(catalogue, 2 * DAY_S, "Later"), await event(catalogue)
    made = await catalogue.reservations.reserve("ann", later.id, Purpose.WATCH)
    assert (made.event, made.purpose, made.reserved_s) == (later, Purpose.WATCH, NOW_S)
    await catalogue.reservations.reserve("ann", sooner.id, Purpose.WATCH)
    assert await titles(catalogue) == ["Council", "Later"]
    assert await titles(catalogue, "bob") == []
    clock.at_s += 60.0
    again = await catalogue.reservations.reserve("ann", later.id, Purpose.RECORD)
    assert (again.purpose, again.reserved_s) == (Purpose.RECORD, NOW_S)
    assert (await catalogue.reservations.every("ann"))[1] == again
    for _ in range(2):
        await catalogue.reservations.cancel("ann", later.id)
    await catalogue.reservations.cancel("bob", sooner.id)
    assert await titles(catalogue) == ["Council"]


async def test_a_reservation_follows_its_event_and_is_cancelled_with_it(
    catalogue: Catalogue,
) -> None:
    made = await event(catalogue)
    await catalogue.reservations.reserve("ann", made.id, Purpose.WATCH)
    moved_s = made.starts_s + 20 * DAY_S
    patch = EventPatch(starts_s=moved_s, ends_s=moved_s + 60, title="Council, moved")
    await catalogue.change_event(made.id, made.version, patch)
    (moved,) = await catalogue.reservations.every("ann")
    assert (moved.event.starts_s, moved.event.title) == (moved_s, "Council, moved")
    assert await catalogue.reservations.in_month("ann", "2027-02", "UTC") == []
    assert await catalogue.reservations.in_month("ann", "2027-03", "UTC") == [moved]
    await catalogue.transition(made.id, EventEvent.CANCEL)
    (cancelled,) = await catalogue.reservations.every("ann")
    assert cancelled.event.state is EventState.CANCELLED
    with pytest.raises(NotReservable):
        await catalogue.reservations.reserve("bob", made.id, Purpose.WATCH)


@pytest.mark.parametrize(
    ("happened", "watch", "record"),
    [
        ([], True, True),
        ([EventEvent.OPEN], True, True),
        ([EventEvent.OPEN, EventEvent.START], False, True),
        ([EventEvent.OPEN, EventEvent.START, EventEvent.END], False, False),
        ([EventEvent.CANCEL], False, False),
    ],
)
async def test_which_events_can_be_reserved(
    catalogue: Catalogue, happened: list[EventEvent], watch: bool, record: bool
) -> None:
    made = await event(catalogue)
    for one in happened:
        await catalogue.transition(made.id, one)
    for purpose, may in ((Purpose.WATCH, watch), (Purpose.RECORD, record)):
        if may:
            await catalogue.reservations.reserve("ann", made.id, purpose)
        else:
            with pytest.raises(NotReservable):
                await catalogue.reservations.reserve("ann", made.id, purpose)


async def test_what_there_is_not_cannot_be_reserved(catalogue: Catalogue) -> None:
    made = await event(catalogue)
    for event_id in ("ev_0", "\x00", "a/b"):
        with pytest.raises(NoSuchEvent):
            await catalogue.reservations.reserve("ann", event_id, Purpose.WATCH)
        await catalogue.reservations.cancel("ann", event_id)
    with pytest.raises(NoSuchUser):
        await catalogue.reservations.reserve("eve", made.id, Purpose.WATCH)


async def test_an_account_has_a_bounded_number_also_at_once(
    catalogue: Catalogue, other: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_RESERVATIONS", 2)
    events = [await event(catalogue) for _ in range(4)]
    attempts = [
        instance.reservations.reserve("ann", one.id, Purpose.WATCH)
        for instance, one in zip([catalogue, other] * 2, events, strict=True)
    ]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, TooManyReservations)]
    assert (len(refused), len(await titles(catalogue))) == (2, 2)
    kept = (await catalogue.reservations.every("ann"))[0].event.id
    await catalogue.reservations.reserve("ann", kept, Purpose.RECORD)


async def test_two_instances_that_reserve_the_same_make_one(
    catalogue: Catalogue, other: Catalogue
) -> None:
    made = await event(catalogue)
    await asyncio.gather(
        *(
            instance.reservations.reserve("ann", made.id, Purpose.WATCH)
            for instance in (catalogue, other) * 4
        )
    )
    assert await titles(catalogue) == ["Council"]


async def test_a_month_is_that_of_the_zone(catalogue: Catalogue) -> None:
    # 2027-02-28T23:30Z: March has begun in Rome, and not in New York.
    await event(catalogue, title="not reserved")
    late = await event(catalogue, 1_803_857_400.0 - NOW_S, "At the border")
    await catalogue.reservations.reserve("ann", late.id, Purpose.WATCH)

    async def listed(month: str, zone: str) -> int:
        return len(await catalogue.reservations.in_month("ann", month, zone))

    assert [await listed("2027-02", zone) for zone in ("Europe/Rome", "America/New_York")] == [0, 1]
    assert [await listed("2027-03", zone) for zone in ("Europe/Rome", "America/New_York")] == [1, 0]
    assert [await listed(month, "UTC") for month in ("2027-02", "2027-03")] == [1, 1], "it is long"
    with pytest.raises(BadMonth):
        await listed("2027-13", "UTC")


async def test_a_calendars_address_is_shown_once_replaced_and_revoked(
    catalogue: Catalogue, other: Catalogue
) -> None:
    reservations = catalogue.reservations
    made = await event(catalogue)
    await reservations.reserve("ann", made.id, Purpose.WATCH)
    assert await reservations.feed_created_s("ann") is None
    first = await reservations.new_feed("ann")
    assert len(first) == 40
    assert await reservations.feed_created_s("ann") == NOW_S
    assert [one.event for one in await other.reservations.feed(first)] == [made]
    second = await reservations.new_feed("ann")
    of_bob = await reservations.new_feed("bob")
    assert await other.reservations.feed(of_bob) == []
    assert len(await other.reservations.feed(second)) == 1
    await reservations.revoke_feed("ann")
    await catalogue.remove_user("bob")
    for gone in (first, second, of_bob, "", "x"):
        with pytest.raises(NoSuchFeed):
            await other.reservations.feed(gone)
    with pytest.raises(NoSuchUser):
        await reservations.new_feed("bob")


async def test_reservations_go_with_the_account(catalogue: Catalogue) -> None:
    made = await event(catalogue)
    for who in ("ann", "bob"):
        await catalogue.reservations.reserve(who, made.id, Purpose.WATCH)
    await catalogue.remove_user("ann")
    await catalogue.add_user("ann", PASSWORD, UserRole.VIEWER)
    assert (await titles(catalogue), await titles(catalogue, "bob")) == ([], ["Council"])
