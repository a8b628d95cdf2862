"""Each viewer is reminded once, on SQLite and on PostgreSQL, by whatever instance and after any
restart; with letters to a mailer in memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from support.clocks import SetClock
from umbel.catalogue.model import Event, EventDraft, EventEvent, EventPatch, UserRole
from umbel.catalogue.reminders import store
from umbel.catalogue.reservations.model import Purpose
from umbel.catalogue.service import Catalogue
from umbel.kit.db import Database
from umbel.kit.sql import Scalar
from umbel.notify.drivers.fake_mailer import FakeMailer
from umbel.schedule.reminding import Reminding

PASSWORD = "correct horse battery"
NOW_S = 1_803_000_000.0
LEAD_S = 600.0
REMINDED = Scalar(sa.select(store.reminders.c.event_id), str)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW_S)


@pytest.fixture
def mailer() -> FakeMailer:
    return FakeMailer()


@pytest.fixture
async def catalogue(database: Database, clock: SetClock) -> Catalogue:
    made = Catalogue(database, clock)
    for name in ("ann", "bob", "eve"):
        await made.add_user(name, PASSWORD, UserRole.VIEWER)
        if name != "eve":
            address = f"{name}@example.org"
            await made.accounts.set_email(name, address, PASSWORD, "192.0.2.1")
    return made


@pytest.fixture
async def other(database: Database, database_url: str, clock: SetClock) -> AsyncIterator[Catalogue]:
    """A second instance over the same database."""
    second = Database(database_url)
    try:
        yield Catalogue(second, clock)
    finally:
        await second.close()


def reminding(catalogue: Catalogue, mailer: FakeMailer, *, verified: bool = False) -> Reminding:
    url = "https://live.example.org"
    return Reminding(catalogue=catalogue, mailer=mailer, lead_s=LEAD_S, verified=verified, url=url)


async def event(catalogue: Catalogue, after_s: float, *who: str, title: str = "Council") -> Event:
    provider = await catalogue.ensure_provider("City", "pe1")
    starts_s = NOW_S + after_s
    draft = EventDraft(
        provider_id=provider.id, title=title, starts_s=starts_s, ends_s=starts_s + 3_600
    )
    made = await catalogue.add_event(draft)
    for name in who:
        await catalogue.reservations.reserve(name, made.id, Purpose.WATCH)
    return made


def receivers(mailer: FakeMailer) -> list[str]:
    return [letter.to for letter in mailer.taken]


async def test_a_viewer_is_reminded_shortly_before(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer
) -> None:
    made = await event(catalogue, LEAD_S + 1, "ann", "eve")
    soon = reminding(catalogue, mailer)
    assert await soon.remind(mailer) == soon.every_s
    assert mailer.taken == []
    clock.at_s += 1.0
    await soon.remind(mailer)
    (letter,) = mailer.taken
    assert (letter.to, letter.subject) == ("ann@example.org", "Soon: Council")
    assert f"https://live.example.org/watch/{made.id}" in letter.text
    assert "01:30 on 19 February 2027 UTC" in letter.text


async def test_each_is_sent_once_by_two_instances_and_after_a_restart(
    catalogue: Catalogue, other: Catalogue, database_url: str, mailer: FakeMailer, clock: SetClock
) -> None:
    for number in range(15):
        await event(catalogue, 60.0 + number, "ann", "bob", title=f"Event {number}")
    both = [reminding(catalogue, mailer), reminding(other, mailer)]
    for _ in range(4):
        await asyncio.gather(*(one.remind(mailer) for one in both * 3))
    assert len(mailer.taken) == 30
    assert len({(letter.to, letter.subject) for letter in mailer.taken}) == 30
    restarted = Database(database_url)
    try:
        await reminding(Catalogue(restarted, clock), mailer).remind(mailer)
    finally:
        await restarted.close()
    assert len(mailer.taken) == 30


async def test_who_is_not_reminded(
    catalogue: Catalogue, mailer: FakeMailer, clock: SetClock
) -> None:
    cancelled = await event(catalogue, 60, "ann")
    await catalogue.transition(cancelled.id, EventEvent.CANCEL)
    recorded = await event(catalogue, 60)
    await catalogue.reservations.reserve("ann", recorded.id, Purpose.RECORD)
    given_up = await event(catalogue, 60, "ann")
    await catalogue.reservations.cancel("ann", given_up.id)
    await event(catalogue, 60, "eve", title="No address")
    live = await event(catalogue, 60, "ann")
    for what in (EventEvent.OPEN, EventEvent.START):
        await catalogue.transition(live.id, what)
    late = await event(catalogue, 60, "bob", title="Begun")
    clock.at_s = late.starts_s
    await reminding(catalogue, mailer).remind(mailer)
    assert mailer.taken == []


async def test_an_event_that_moves_has_a_reminder_for_its_new_time(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer
) -> None:
    made = await event(catalogue, 60, "ann")
    soon = reminding(catalogue, mailer)
    await soon.remind(mailer)
    moved_s = NOW_S + 86_400.0
    patch = EventPatch(starts_s=moved_s, ends_s=moved_s + 60)
    await catalogue.change_event(made.id, made.version, patch)
    await soon.remind(mailer)
    assert len(mailer.taken) == 1
    clock.at_s = moved_s - 60
    for _ in range(2):
        await soon.remind(mailer)
    assert len(mailer.taken) == 2


async def test_only_addresses_that_their_owners_confirmed_where_it_is_asked(
    catalogue: Catalogue, mailer: FakeMailer
) -> None:
    await event(catalogue, 60, "ann", "bob")
    secret = await catalogue.accounts.new_email_token("bob", "bob@example.org")
    await catalogue.accounts.verify_email(secret)
    await reminding(catalogue, mailer, verified=True).remind(mailer)
    assert receivers(mailer) == ["bob@example.org"]


async def test_a_mail_server_that_is_away_delays_and_a_wrong_address_stops_nobody(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer
) -> None:
    await event(catalogue, 60, "ann", "bob")
    soon = reminding(catalogue, mailer)
    mailer.fail()
    assert await soon.remind(mailer) == 30.0
    mailer.fail(fails=False)
    mailer.refuse("ann@example.org")
    clock.at_s += 30.0
    for _ in range(2):
        await soon.remind(mailer)
    assert receivers(mailer) == ["bob@example.org"]


async def test_what_is_long_past_is_forgotten(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, database: Database
) -> None:
    await event(catalogue, 60, "ann")
    soon = reminding(catalogue, mailer)
    await soon.remind(mailer)
    clock.at_s += 8 * 86_400.0
    after = await event(catalogue, 8 * 86_400.0 + 60, "bob")
    await soon.remind(mailer)
    rows = await database.read(lambda connection: connection.scalars(REMINDED))
    assert rows == [after.id]
