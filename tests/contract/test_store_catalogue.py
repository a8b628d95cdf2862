"""The catalogue keeps its promises on SQLite and on PostgreSQL, also between two instances."""

import asyncio
import contextlib
import json
import threading

import pytest

from support.clocks import SetClock
from umbel import migrations
from umbel.catalogue import store
from umbel.catalogue.model import (
    BadCredentials,
    Event,
    EventDraft,
    EventEvent,
    EventOver,
    EventPatch,
    EventState,
    LastOperator,
    NoSuchEvent,
    NoSuchProvider,
    NoSuchUser,
    Provider,
    ProviderExists,
    ProviderInUse,
    UserExists,
    UserRole,
)
from umbel.catalogue.service import Catalogue
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database, VersionMismatch
from umbel.kit.journal import Journal, record
from umbel.kit.sql import Connection
from umbel.kit.states import IllegalTransition

PASSWORD = "correct horse battery"
ADDRESS = "192.0.2.1"


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1_000_000.0)


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(database, poll_s=0.05)


@pytest.fixture
def catalogue(database: Database, clock: SetClock) -> Catalogue:
    return Catalogue(database, clock)


async def add_event(catalogue: Catalogue, clock: SetClock, **changes: object) -> Event:
    provider = await catalogue.ensure_provider("City", "pe1")
    values = {
        "provider_id": provider.id,
        "title": "Council",
        "starts_s": clock.at_s + 10,
        "ends_s": clock.at_s + 100,
    }
    return await catalogue.add_event(EventDraft(**{**values, **changes}))  # type: ignore[arg-type]


async def test_users_come_and_go(catalogue: Catalogue) -> None:
    added = await catalogue.add_user("ann", PASSWORD, UserRole.VIEWER)
    assert await catalogue.user("ann") == added
    assert await catalogue.authenticate("ann", PASSWORD, ADDRESS) == added
    with pytest.raises(BadCredentials):
        await catalogue.authenticate("ann", "something else", ADDRESS)
    with pytest.raises(UserExists):
        await catalogue.add_user("ann", PASSWORD, UserRole.OPERATOR)
    await catalogue.remove_user("ann")
    for gone in (catalogue.user("ann"), catalogue.remove_user("ann"), catalogue.user("\x00")):
        with pytest.raises(NoSuchUser):
            await gone
    with pytest.raises(BadCredentials):
        await catalogue.authenticate("ann", PASSWORD, ADDRESS)


async def test_accounts_from_before_get_a_generation_each(
    catalogue: Catalogue, database: Database
) -> None:
    for name in ("ann", "bob"):
        await catalogue.add_user(name, PASSWORD, UserRole.VIEWER)
    await migrations.downgrade(database, "0009")
    await migrations.upgrade(database)
    generations = {user.generation for user in await catalogue.users()}
    assert len(generations) == 2
    assert "" not in generations


async def test_two_operators_cannot_remove_each_other(
    catalogue: Catalogue, other: Catalogue, database: Database
) -> None:
    await catalogue.add_user("ann", PASSWORD, UserRole.OPERATOR)
    await catalogue.add_user("bob", PASSWORD, UserRole.OPERATOR)
    counted, goes_on = threading.Event(), threading.Event()

    def remove_ann(connection: Connection) -> None:
        assert set(store.operators(connection)) == {"ann", "bob"}
        counted.set()
        assert goes_on.wait(60)
        store.remove_user(connection, "ann")

    first = asyncio.create_task(database.write(remove_ann))
    try:
        assert await asyncio.to_thread(counted.wait, 10)
        removing = asyncio.create_task(other.remove_user("bob"))
        done, _ = await asyncio.wait([removing], timeout=0.3)
        assert not done, "who counts operators keeps the others from removing any"
    finally:
        goes_on.set()
    await first
    with pytest.raises(LastOperator):
        await removing
    assert [user.username for user in await catalogue.users()] == ["bob"]


async def test_ensuring_is_idempotent_between_instances(
    catalogue: Catalogue, other: Catalogue
) -> None:
    both = (catalogue, other)
    found = await asyncio.gather(*(c.ensure_provider("City", "pe1") for c in both for _ in "ab"))
    assert len({provider.id for provider in found}) == 1
    user = ("ann", PASSWORD, UserRole.PROVIDER, found[0].id)
    users = await asyncio.gather(*(c.ensure_user(*user) for c in both for _ in "ab"))
    assert {(u.username, u.provider_id) for u in users} == {("ann", found[0].id)}
    kept = await catalogue.ensure_user("ann", "another one", UserRole.VIEWER)
    assert kept.role is UserRole.PROVIDER, "an account that is there stays as it is"


async def test_providers(catalogue: Catalogue, clock: SetClock) -> None:
    city = await catalogue.add_provider(" City ", "pe1")
    assert city.name == "City"
    with pytest.raises(ProviderExists):
        await catalogue.add_provider("City", "pe2")
    moved = await catalogue.change_provider(city.id, access_node="pe2")
    assert (moved.access_node, moved.version) == ("pe2", 2)
    assert await catalogue.provider(city.id) == moved
    with pytest.raises(VersionMismatch):
        await catalogue.change_provider(city.id, name="Town", version=1)
    await add_event(catalogue, clock)
    with pytest.raises(ProviderInUse):
        await catalogue.remove_provider(city.id)
    empty = await catalogue.add_provider("Club", "pe1")
    await catalogue.remove_provider(empty.id)
    for gone in (
        catalogue.provider(empty.id),
        catalogue.remove_provider(empty.id),
        catalogue.change_provider(empty.id, name="X"),
        catalogue.add_user("ann", PASSWORD, UserRole.PROVIDER, empty.id),
        add_event(catalogue, clock, provider_id=empty.id),
    ):
        with pytest.raises(NoSuchProvider):
            await gone


async def test_an_events_row_is_what_was_said(catalogue: Catalogue, clock: SetClock) -> None:
    event = await add_event(catalogue, clock, title=" Früh \U0001f41d ", description="a\nb")
    assert (event.title, event.description) == ("Früh \U0001f41d", "a\nb")
    assert (event.state, event.version) == (EventState.SCHEDULED, 1)
    assert await catalogue.event(event.id) == event
    assert await catalogue.events() == [event]
    with pytest.raises(NoSuchEvent):
        await catalogue.event("ev_none")


async def test_of_writers_who_read_the_same_one_wins(
    catalogue: Catalogue, other: Catalogue, clock: SetClock
) -> None:
    event = await add_event(catalogue, clock)
    outcomes = await asyncio.gather(
        *(
            who.change_event(event.id, event.version, EventPatch(title=f"T{n}"))
            for n, who in enumerate([catalogue, other] * 4)
        ),
        return_exceptions=True,
    )
    won = [o for o in outcomes if isinstance(o, Event)]
    assert len(won) == 1
    assert {type(o) for o in outcomes if not isinstance(o, Event)} == {VersionMismatch}
    assert await catalogue.event(event.id) == won[0]


async def test_a_transition_happens_once_whoever_fires_it(
    catalogue: Catalogue, other: Catalogue, clock: SetClock
) -> None:
    event = await add_event(catalogue, clock)
    outcomes = await asyncio.gather(
        *(who.transition(event.id, EventEvent.OPEN) for who in [catalogue, other] * 4),
        return_exceptions=True,
    )
    assert sum(isinstance(o, Event) for o in outcomes) == 1
    assert sum(isinstance(o, IllegalTransition) for o in outcomes) == 7
    after = await catalogue.event(event.id)
    assert (after.state, after.version) == (EventState.OPEN, 2)


async def test_what_is_due(catalogue: Catalogue, clock: SetClock) -> None:
    soon = await add_event(catalogue, clock, ends_s=clock.at_s + 50)
    late = await add_event(catalogue, clock, ends_s=clock.at_s + 60)
    over = await add_event(catalogue, clock, ends_s=clock.at_s + 40)
    await catalogue.transition(over.id, EventEvent.CANCEL)
    assert await catalogue.due(clock.at_s + 49.9) == []
    assert await catalogue.due(clock.at_s + 50) == [soon.id]
    assert await catalogue.due(clock.at_s + 1e6) == [soon.id, late.id]
    await catalogue.transition(soon.id, EventEvent.END)
    assert await catalogue.due(clock.at_s + 1e6) == [late.id]
    counts = await catalogue.counts()
    assert counts == {
        EventState.SCHEDULED: 1,
        EventState.OPEN: 0,
        EventState.LIVE: 0,
        EventState.ENDED: 1,
        EventState.CANCELLED: 1,
    }


async def test_stream_keys(catalogue: Catalogue, other: Catalogue, clock: SetClock) -> None:
    event = await add_event(catalogue, clock)
    assert await catalogue.key_hashes(event.id) == ()
    told = await asyncio.gather(*(who.issue_key(event.id) for who in [catalogue, other] * 3))
    assert sum(key is not None for key in told) == 1, "shown once"
    first = await catalogue.key_hashes(event.id)
    key = await catalogue.rotate_key(event.id)
    second = await catalogue.key_hashes(event.id)
    assert len(second) == 1
    assert first != second
    await catalogue.withdraw_key(f"{event.id}.another")
    assert await catalogue.key_hashes(event.id) == second
    await catalogue.withdraw_key(key)
    assert await catalogue.key_hashes(event.id) == ()
    await catalogue.transition(event.id, EventEvent.END)
    for late in (catalogue.issue_key(event.id), catalogue.rotate_key(event.id)):
        with pytest.raises(EventOver):
            await late
    assert await catalogue.key_hashes("ev_none") == ()


async def test_the_journal_tells_each_change_and_no_secret(
    catalogue: Catalogue, journal: Journal, clock: SetClock
) -> None:
    await catalogue.add_user("ann", PASSWORD, UserRole.OPERATOR)
    event = await add_event(catalogue, clock)
    key = await catalogue.issue_key(event.id)
    assert key is not None
    await catalogue.change_event(event.id, 1, EventPatch(title="New"))
    await catalogue.transition(event.id, EventEvent.OPEN)
    changes = await journal.since(0)
    told = [(change.kind, change.body["what"]) for change in changes]
    assert told == [
        ("user", "added"),
        ("provider", "added"),
        ("event", "added"),
        ("event", "key"),
        ("event", "changed"),
        ("event", "open"),
    ]
    assert changes[-1].subject == event.id
    assert changes[-1].body["state"] == "open"
    assert changes[-1].at_s == clock.at_s
    text = json.dumps([dict(change.body) for change in changes])
    hashes = await catalogue.key_hashes(event.id)
    for secret in (PASSWORD, "argon2", key.partition(".")[2], *hashes):
        assert secret not in text


async def test_what_failed_is_not_told(
    catalogue: Catalogue, journal: Journal, clock: SetClock
) -> None:
    event = await add_event(catalogue, clock)
    head = await journal.head()
    with pytest.raises(IllegalTransition):
        await catalogue.transition(event.id, EventEvent.STOP)
    with pytest.raises(VersionMismatch):
        await catalogue.change_event(event.id, 7, EventPatch(title="X"))
    with pytest.raises(ProviderExists):
        await catalogue.add_provider("City", "pe1")
    assert await journal.head() == head


async def test_followers_see_every_change_in_order_while_many_write(
    catalogue: Catalogue, other: Catalogue, journal: Journal
) -> None:
    seen: list[int] = []
    names: list[str] = []

    async def follow() -> None:
        async for change in journal.follow(0):
            seen.append(change.seq)
            names.append(str(change.body["name"]))
            if len(seen) == 40:
                return

    following = asyncio.create_task(follow())
    try:
        writers = [catalogue, other]
        await asyncio.gather(*(writers[n % 2].add_provider(f"P{n}", "pe1") for n in range(40)))
        async with asyncio.timeout(60):
            await following
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert seen == sorted(seen)
    assert sorted(names) == sorted(f"P{n}" for n in range(40))


async def test_a_follower_far_behind_reads_on_without_a_pause(database: Database) -> None:
    def fill(connection: Connection) -> None:
        for _ in range(1_100):
            record(connection, at_s=0.0, kind="x", subject="y", body={})

    await database.write(fill)
    following = Journal(database, poll_s=3_600.0).follow(0)
    async with asyncio.timeout(60), contextlib.aclosing(following):
        seen = [(await anext(following)).seq for _ in range(1_100)]
    assert seen == list(range(1, 1_101))


async def test_a_read_unit_is_one_snapshot(
    catalogue: Catalogue, other: Catalogue, database: Database
) -> None:
    await catalogue.add_provider("City", "pe1")
    begun, goes_on = threading.Event(), threading.Event()

    def look_twice(connection: Connection) -> tuple[list[Provider], list[Provider]]:
        before = store.all_providers(connection)
        begun.set()
        assert goes_on.wait(60)
        return before, store.all_providers(connection)

    looking = asyncio.create_task(database.read(look_twice))
    try:
        assert await asyncio.to_thread(begun.wait, 60)
        await other.add_provider("Club", "pe1")
    finally:
        goes_on.set()
    before, after = await looking
    assert before == after
    assert len(await catalogue.providers()) == 2


async def test_the_system_clock_will_do(database: Database, journal: Journal) -> None:
    catalogue = Catalogue(database, SystemClock())
    await catalogue.add_provider("City", "pe1")
    assert (await journal.since(0))[0].at_s > 1.7e9
