"""Each viewer is reminded once for each lead time, on SQLite and on PostgreSQL, by whatever
instance, after any restart and any jump of the clock; with letters to a mailer in memory."""

import asyncio

import pytest
import sqlalchemy as sa

from support.clocks import SetClock
from support.reminding import DAY, HOUR, MINUTES, NOW_S, Instance, event, people
from umbel.catalogue.choices import model as choices
from umbel.catalogue.choices.model import AccountChoice, Channel
from umbel.catalogue.model import Event, EventEvent, EventPatch, Visibility
from umbel.catalogue.outbox import store
from umbel.catalogue.reservations.model import Purpose
from umbel.catalogue.service import Catalogue
from umbel.kit.db import Database
from umbel.kit.sql import Scalar
from umbel.notify.drivers.fake_mailer import FakeMailer

MESSAGES = Scalar(sa.select(store.outbox.c.event_id), str)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW_S)


@pytest.fixture
def mailer() -> FakeMailer:
    return FakeMailer()


@pytest.fixture
async def catalogue(database: Database, clock: SetClock) -> Catalogue:
    return await people(database, clock)


@pytest.fixture
def one(catalogue: Catalogue, clock: SetClock, mailer: FakeMailer) -> Instance:
    return Instance(catalogue, clock, mailer)


def leads(*leads_s: int, channels: tuple[Channel, ...] = (Channel.MAIL,)) -> choices.Choice:
    return choices.choice(leads_s, channels, now_s=NOW_S)


def receivers(mailer: FakeMailer) -> list[str]:
    return [letter.to for letter in mailer.taken]


async def test_a_viewer_is_reminded_at_each_lead_time(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, one: Instance
) -> None:
    made = await event(catalogue, 2 * DAY, "ann", "eve")
    for left_s, count in (
        *((DAY + 1, 0), (DAY, 1), (DAY - 1, 1), (HOUR + 1, 1), (HOUR, 2)),
        *((MINUTES + 1, 2), (MINUTES, 3), (1, 3), (-1, 3)),
    ):
        clock.at_s = made.starts_s - left_s
        for _ in range(2):
            await one.round()
        assert len(mailer.taken) == count, left_s
    assert set(receivers(mailer)) == {"ann@example.org"}
    assert [letter.subject for letter in mailer.taken] == ["Soon: Council"] * 3
    assert len({letter.id for letter in mailer.taken}) == 3
    first = mailer.taken[0].text
    assert f"https://live.example.org/watch/{made.id}" in first
    assert "It begins in 1 day, at 01:20 on 21 February 2027 (UTC)" in first


async def test_by_what_the_account_or_the_reservation_chose(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, one: Instance
) -> None:
    made = await event(catalogue, 2 * DAY, "ann", "bob", title="First")
    after = await event(catalogue, 2 * DAY, "ann", title="Second")
    chosen = AccountChoice(choice=leads(7_200), time_zone="Europe/Rome")
    await catalogue.reminders.choose("ann", chosen)
    assert await catalogue.reminders.choice("ann") == chosen
    found = await catalogue.reservations.choose("ann", after.id, leads(600))
    assert (found.reminders.leads_s, found.has_own_reminders) == ((600,), True)
    await catalogue.reminders.choose("bob", AccountChoice(choice=leads(channels=())))
    for left_s, titles in ((7_200, ["First"]), (600, ["First", "Second"]), (1, None)):
        clock.at_s = made.starts_s - left_s
        await one.round()
        if titles is not None:
            assert [letter.subject.removeprefix("Soon: ") for letter in mailer.taken] == titles
    assert len(mailer.taken) == 2
    assert "02:20 on 21 February 2027 (Europe/Rome)" in mailer.taken[0].text
    reserved = await catalogue.reservations.reserve("ann", after.id, Purpose.WATCH)
    assert reserved.has_own_reminders, "reserved once more, it keeps them"
    found = await catalogue.reservations.choose("ann", after.id, None)
    assert (found.reminders.leads_s, found.has_own_reminders) == ((7_200,), False)


async def test_each_is_sent_once_by_two_instances_and_after_a_restart(
    catalogue: Catalogue, other: Catalogue, database_url: str, mailer: FakeMailer, clock: SetClock
) -> None:
    for number in range(15):
        await event(catalogue, DAY + 60.0, "ann", "bob", title=f"Event {number}")
    clock.at_s += 60.0
    both = [
        Instance(catalogue, clock, mailer, name="one"),
        Instance(other, clock, mailer, name="two"),
    ]
    for _ in range(4):
        await asyncio.gather(*(instance.round() for instance in both * 3))
    assert len(mailer.taken) == 30
    assert len({(letter.to, letter.subject) for letter in mailer.taken}) == 30
    restarted = Database(database_url)
    try:
        await Instance(Catalogue(restarted, clock), clock, mailer, name="three").round()
    finally:
        await restarted.close()
    assert len(mailer.taken) == 30


async def test_what_an_instance_left_is_sent_by_another_under_the_same_id(
    catalogue: Catalogue, other: Catalogue, mailer: FakeMailer, clock: SetClock
) -> None:
    await event(catalogue, DAY + 60.0, "ann", "bob")
    clock.at_s += 60.0
    dies = Instance(catalogue, clock, mailer, name="dies")
    await dies.reminding.look()
    left = await catalogue.outbox.claim("dies", Channel.MAIL, most=10)
    lives = Instance(other, clock, mailer, name="lives")
    await lives.round()
    assert mailer.taken == [], "they are claimed"
    await other.outbox.release_of("dies")
    await lives.round()
    assert sorted(letter.id for letter in mailer.taken) == sorted(one.id for one in left)
    assert len(mailer.taken) == 2


async def test_a_claim_of_an_instance_that_is_not_seen_to_end_lapses(
    catalogue: Catalogue, other: Catalogue, mailer: FakeMailer, clock: SetClock
) -> None:
    await event(catalogue, DAY + 60.0, "ann")
    clock.at_s += 60.0
    hangs = Instance(catalogue, clock, mailer, name="hangs")
    await hangs.reminding.look()
    assert len(await catalogue.outbox.claim("hangs", Channel.MAIL, most=10)) == 1
    lives = Instance(other, clock, mailer, name="lives")
    clock.at_s += 600.0
    assert await catalogue.outbox.claim("hangs", Channel.MAIL, most=10) == [], "it has it"
    await lives.round()
    assert len(mailer.taken) == 1


async def test_jumps_of_the_clock(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, one: Instance
) -> None:
    made = await event(catalogue, 2 * DAY, "ann")
    await one.round()
    for at_s, count in (
        (made.starts_s - DAY, 1),
        (made.starts_s - 2 * DAY, 1),  # back, to before it was due
        (made.starts_s - DAY, 1),
        (made.starts_s - HOUR / 2, 2),  # over the hour before
        (made.starts_s - DAY / 2, 2),
        (made.starts_s - HOUR, 2),
        (made.starts_s + DAY, 2),  # behind it all, by mistake
        (made.starts_s - MINUTES - 1, 2),
        (made.starts_s - MINUTES, 3),
    ):
        clock.at_s = at_s
        for _ in range(2):
            await one.round()
        assert len(mailer.taken) == count, at_s - made.starts_s
    assert len({letter.id for letter in mailer.taken}) == 3


async def test_after_an_outage_only_the_last_one_that_was_missed(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, one: Instance
) -> None:
    made = await event(catalogue, 2 * DAY, "ann")
    await one.round()
    clock.at_s = made.starts_s - 1_800
    await one.round()
    assert ["in 30 minutes" in letter.text for letter in mailer.taken] == [True]


async def test_who_is_not_reminded(
    catalogue: Catalogue, mailer: FakeMailer, clock: SetClock, one: Instance
) -> None:
    cancelled = await event(catalogue, HOUR + 60, "ann")
    await catalogue.transition(cancelled.id, EventEvent.CANCEL)
    recorded = await event(catalogue, HOUR + 60)
    await catalogue.reservations.reserve("ann", recorded.id, Purpose.RECORD)
    given_up = await event(catalogue, HOUR + 60, "ann")
    await catalogue.reservations.cancel("ann", given_up.id)
    await event(catalogue, HOUR + 60, "eve", title="No address")
    await event(catalogue, HOUR - 60, "ann", title="Reserved later than an hour before")
    live = await event(catalogue, HOUR + 60, "ann")
    for what in (EventEvent.OPEN, EventEvent.START):
        await catalogue.transition(live.id, what)
    clock.at_s += 120
    await one.round()
    assert mailer.taken == []


async def test_an_event_that_moves_has_reminders_for_its_new_time(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, one: Instance
) -> None:
    made = await event(catalogue, DAY + 60, "ann")
    clock.at_s += 60
    await one.round()
    assert len(mailer.taken) == 1
    first_s, moved_s = made.starts_s, made.starts_s + DAY

    async def move(before: Event, starts_s: float) -> Event:
        patch = EventPatch(starts_s=starts_s, ends_s=starts_s + 60)
        return await catalogue.change_event(before.id, before.version, patch)

    moved = await move(made, moved_s)
    await one.round()
    assert len(mailer.taken) == 1
    clock.at_s = moved_s - DAY
    for _ in range(2):
        await one.round()
    assert len(mailer.taken) == 2
    await move(moved, first_s + 60)
    await one.round()
    assert len(mailer.taken) == 3
    assert "It begins in 1 minute" in mailer.taken[-1].text
    again = await catalogue.event(made.id)
    clock.at_s = first_s - DAY + 30
    await move(again, first_s)
    for _ in range(2):
        await one.round()
    assert len(mailer.taken) == 3, "not twice for the same time"


async def test_what_is_not_so_any_more_is_not_sent(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, one: Instance
) -> None:
    gone = await event(catalogue, DAY + 60, "ann", title="Given up")
    moves = await event(catalogue, DAY + 60, "ann", title="Moved")
    stays = await event(catalogue, DAY + 60, "ann", title="Stays")
    clock.at_s += 60
    mailer.fail()
    await one.round()
    mailer.fail(fails=False)
    await catalogue.reservations.cancel("ann", gone.id)
    starts_s = moves.starts_s + DAY
    patch = EventPatch(starts_s=starts_s, ends_s=starts_s + 60)
    await catalogue.change_event(moves.id, moves.version, patch)
    clock.at_s += 60
    await one.round()
    assert [letter.subject for letter in mailer.taken] == [f"Soon: {stays.title}"]


async def test_nobody_is_reminded_of_an_event_that_is_for_others_by_now(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, one: Instance
) -> None:
    made = await event(catalogue, DAY + 60, "ann", "bob")
    patch = EventPatch(visibility=Visibility.INVITED)
    await catalogue.change_event(made.id, made.version, patch)
    await catalogue.audiences.invite(made.id, ["bob"])
    clock.at_s += 60
    await one.round()
    assert receivers(mailer) == ["bob@example.org"]


async def test_only_addresses_that_their_owners_confirmed_where_it_is_asked(
    catalogue: Catalogue, mailer: FakeMailer, clock: SetClock
) -> None:
    await event(catalogue, DAY + 60, "ann", "bob")
    secret = await catalogue.accounts.new_email_token("bob", "bob@example.org")
    await catalogue.accounts.verify_email(secret)
    clock.at_s += 60
    await Instance(catalogue, clock, mailer, verified=True).round()
    assert receivers(mailer) == ["bob@example.org"]


async def test_a_mail_server_that_is_away_delays_and_a_wrong_address_stops_nobody(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, one: Instance
) -> None:
    made = await event(catalogue, HOUR + 60, "ann", "bob")
    clock.at_s += 60
    mailer.fail()
    await one.round()
    mailer.fail(fails=False)
    mailer.refuse("ann@example.org")
    await one.round()
    assert mailer.taken == [], "not at once"
    clock.at_s += 60.0
    for _ in range(2):
        await one.round()
    assert receivers(mailer) == ["bob@example.org"]
    mailer.fail()
    clock.at_s = made.starts_s - MINUTES
    await one.round()
    mailer.fail(fails=False)
    clock.at_s = made.starts_s + 1
    await one.round()
    assert len(mailer.taken) == 1, "not when it has begun"


async def test_what_is_long_past_is_forgotten(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, database: Database, one: Instance
) -> None:
    await event(catalogue, DAY + 60, "ann")
    after = await event(catalogue, 9 * DAY, "bob")
    for at_s in (DAY, 8 * DAY):
        clock.at_s = NOW_S + at_s
        await one.round()
    clock.at_s = NOW_S + 9 * DAY - 1
    await catalogue.outbox.forget()
    rows = await database.read(lambda connection: connection.scalars(MESSAGES))
    assert rows == [after.id]


async def test_an_account_takes_its_choices_and_messages_with_it(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, database: Database, one: Instance
) -> None:
    await event(catalogue, DAY + 60, "ann", "bob")
    await catalogue.reminders.choose("ann", AccountChoice(choice=leads(DAY)))
    clock.at_s += 60
    await one.reminding.look()
    assert len(await catalogue.outbox.of_account("ann")) == 1
    await catalogue.remove_user("ann")
    assert await catalogue.outbox.of_account("ann") == []
    assert await catalogue.reminders.choice("ann") == AccountChoice()
    await one.round()
    assert receivers(mailer) == ["bob@example.org"]
