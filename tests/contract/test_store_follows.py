"""Who hears that an event is live, on SQLite and on PostgreSQL: each once, also where the encoder
starts again, with two instances, and with more people than one look takes."""

import asyncio

import pytest

from support.clocks import SetClock
from support.reminding import AUTH, HOUR, NOW_S, POINT, Instance, event, people
from umbel.catalogue.choices.model import AccountChoice, Channel, Choice
from umbel.catalogue.follows.model import MOST_FOLLOWS, TooManyFollows
from umbel.catalogue.model import Event, EventEvent, EventPatch, NoSuchProvider, Visibility
from umbel.catalogue.reservations.model import Purpose
from umbel.catalogue.service import Catalogue
from umbel.kit.db import Database
from umbel.notify.drivers.fake_mailer import FakeMailer


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


async def start(catalogue: Catalogue, of: Event) -> None:
    if (await catalogue.event(of.id)).state.value == "scheduled":
        await catalogue.transition(of.id, EventEvent.OPEN)
    await catalogue.transition(of.id, EventEvent.START)


async def announce(instance: Instance, most: int = 500) -> None:
    while await instance.reminding.catalogue.follows.announce(most=most, verified=False):
        pass
    for channel in instance.sending.channels:
        await instance.sending.send(channel)


def receivers(mailer: FakeMailer) -> list[str]:
    return sorted(letter.to for letter in mailer.taken)


async def test_who_follows_and_who_reserved_hear_it_once(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, one: Instance
) -> None:
    made = await event(catalogue, 60, "ann", "eve")
    await catalogue.reservations.reserve("eve", made.id, Purpose.BOTH)
    await catalogue.follows.follow("bob", made.provider_id)
    await catalogue.follows.follow("ann", made.provider_id)
    await catalogue.devices.add("eve", "https://push.example.net/x", POINT, AUTH, "Phone")
    await announce(one)
    assert mailer.taken == [], "not yet"
    await start(catalogue, made)
    await announce(one)
    assert receivers(mailer) == ["ann@example.org", "bob@example.org"]
    assert {letter.subject for letter in mailer.taken} == {"Live now: Council"}
    assert f"https://live.example.org/watch/{made.id}" in mailer.taken[0].text
    (push,) = one.pusher.taken
    assert (push.is_urgent, b'"kind":"live"' in push.payload) == (True, True)
    for _ in range(2):  # the encoder starts again, and the event is moved
        await catalogue.transition(made.id, EventEvent.STOP)
        await announce(one)
        await start(catalogue, made)
        await announce(one)
        clock.at_s += 60
    assert (len(mailer.taken), len(one.pusher.taken)) == (2, 1)


async def test_an_encoder_that_is_away_for_a_moment_keeps_nobody_from_hearing_it(
    catalogue: Catalogue, mailer: FakeMailer, one: Instance
) -> None:
    made = await event(catalogue, 60, "ann")
    await start(catalogue, made)
    await catalogue.transition(made.id, EventEvent.STOP)
    await announce(one)
    assert receivers(mailer) == ["ann@example.org"]


async def test_two_instances_and_many_people(
    catalogue: Catalogue, other: Catalogue, mailer: FakeMailer, clock: SetClock
) -> None:
    made = await event(catalogue, 60, "ann", "bob")
    second = await event(catalogue, 60, "bob", title="Second")
    await catalogue.follows.follow("eve", made.provider_id)
    await start(catalogue, made)
    await start(catalogue, second)
    both = [
        Instance(catalogue, clock, mailer, name="one"),
        Instance(other, clock, mailer, name="two"),
    ]
    await asyncio.gather(*(announce(instance, most=1) for instance in both * 2))
    await asyncio.gather(*(announce(instance, most=1) for instance in both))
    found = sorted((letter.to, letter.subject) for letter in mailer.taken)
    assert found == [
        ("ann@example.org", "Live now: Council"),
        ("bob@example.org", "Live now: Council"),
        ("bob@example.org", "Live now: Second"),
    ]


async def test_who_does_not_hear_it(
    catalogue: Catalogue, clock: SetClock, mailer: FakeMailer, one: Instance
) -> None:
    made = await event(catalogue, 60, "ann", "bob")
    await catalogue.reminders.choose("ann", AccountChoice(live=False))
    chosen = Choice(channels=frozenset({Channel.PAGE}))
    await catalogue.reminders.choose("bob", AccountChoice(choice=chosen))
    await start(catalogue, made)
    await announce(one)
    assert mailer.taken == []
    assert await catalogue.follows.live("ann") == []
    assert [event.id for event in await catalogue.follows.live("bob")] == [made.id]

    over = await event(catalogue, 60, "eve", title="Over")
    await catalogue.follows.follow("bob", over.provider_id)
    await start(catalogue, over)
    await catalogue.transition(over.id, EventEvent.END)
    await announce(one)
    assert mailer.taken == []

    await catalogue.reminders.choose("bob", AccountChoice())
    late = await event(catalogue, 60, "bob", title="Late")
    await start(catalogue, late)
    clock.at_s += HOUR
    await announce(one)
    assert mailer.taken == [], "an hour later it is no news"


@pytest.mark.parametrize("visibility", [Visibility.UNLISTED, Visibility.INVITED])
async def test_followers_hear_of_public_events_alone(
    catalogue: Catalogue, mailer: FakeMailer, one: Instance, visibility: Visibility
) -> None:
    made = await event(catalogue, 60, "ann")
    await catalogue.follows.follow("bob", made.provider_id)
    patch = EventPatch(visibility=visibility)
    await catalogue.change_event(made.id, made.version, patch)
    if visibility is Visibility.INVITED:
        await catalogue.audiences.invite(made.id, ["ann"])
    await start(catalogue, made)
    await announce(one)
    assert receivers(mailer) == ["ann@example.org"]
    assert await catalogue.follows.live("bob") == []
    assert len(await catalogue.follows.live("ann")) == 1


async def test_following_has_bounds_and_ends_with_the_account(
    catalogue: Catalogue, database: Database
) -> None:
    made = await event(catalogue, 60)
    first = await catalogue.follows.follow("ann", made.provider_id)
    assert await catalogue.follows.follow("ann", made.provider_id) == first
    assert await catalogue.follows.every("ann") == [first]
    for wrong in ("pr_none", "../x", ""):
        with pytest.raises(NoSuchProvider):
            await catalogue.follows.follow("ann", wrong)
    await catalogue.follows.unfollow("ann", made.provider_id)
    await catalogue.follows.unfollow("ann", made.provider_id)
    assert await catalogue.follows.every("ann") == []
    ids = [(await catalogue.add_provider(f"P{n}", "pe1")).id for n in range(MOST_FOLLOWS + 1)]
    for id_ in ids[:MOST_FOLLOWS]:
        await catalogue.follows.follow("ann", id_)
    with pytest.raises(TooManyFollows):
        await catalogue.follows.follow("ann", ids[-1])
    await catalogue.remove_provider(ids[0])
    assert len(await catalogue.follows.every("ann")) == MOST_FOLLOWS - 1
    await catalogue.remove_user("ann")
    assert await catalogue.follows.every("ann") == []
