"""What viewers watched is kept the same on SQLite and on PostgreSQL, bounded, and theirs alone."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.clocks import SetClock
from support.passwords import SharedHashes
from umbel.catalogue.model import Event, EventDraft, EventPatch, UserRole, Visibility
from umbel.catalogue.service import Catalogue
from umbel.catalogue.watched import service
from umbel.catalogue.watched.model import LONGEST_GAP_S, NotWatching, Spell, seen_again
from umbel.kit.db import Database

PASSWORD = "correct horse battery"
NOW_S = 1_803_000_000.0


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW_S)


@pytest.fixture
async def catalogue(database: Database, clock: SetClock) -> Catalogue:
    made = Catalogue(database, clock, passwords=SharedHashes(PASSWORD))
    for name in ("ann", "bob"):
        await made.add_user(name, PASSWORD, UserRole.VIEWER)
    return made


async def event(catalogue: Catalogue, title: str = "Council") -> Event:
    provider = await catalogue.ensure_provider("City", "pe1")
    draft = EventDraft(provider_id=provider.id, title=title, starts_s=NOW_S, ends_s=NOW_S + 3_600)
    return await catalogue.add_event(draft)


async def titles(catalogue: Catalogue, who: str = "ann") -> list[str]:
    return [one.event.title for one in await catalogue.watched.every(who)]


async def test_watching_counts_while_it_goes_on(catalogue: Catalogue, clock: SetClock) -> None:
    made = await event(catalogue)
    await catalogue.watched.begin("ann", made.id)
    for gap_s in (60.0, 60.0, 600.0, 30.0):
        clock.at_s += gap_s
        await catalogue.watched.go_on("ann", made.id)
    (one,) = await catalogue.watched.every("ann")
    assert one.event == made
    assert (one.first_s, one.last_s, one.seconds) == (NOW_S, NOW_S + 750.0, 150.0)
    # A session that is opened again goes on as well.
    clock.at_s += 5.0
    await catalogue.watched.begin("ann", made.id)
    (one,) = await catalogue.watched.every("ann")
    assert (one.first_s, one.seconds) == (NOW_S, 155.0)
    assert await titles(catalogue, "bob") == []


async def test_two_tabs_do_not_count_twice(catalogue: Catalogue, clock: SetClock) -> None:
    made = await event(catalogue)
    await asyncio.gather(*(catalogue.watched.begin("ann", made.id) for _ in range(4)))
    for _ in range(3):
        clock.at_s += 30.0
        await asyncio.gather(*(catalogue.watched.go_on("ann", made.id) for _ in range(4)))
    (one,) = await catalogue.watched.every("ann")
    assert one.seconds == 90.0


async def test_who_has_not_watched_does_not_go_on(catalogue: Catalogue) -> None:
    made = await event(catalogue)
    await catalogue.watched.begin("ann", made.id)
    for who, event_id in (("bob", made.id), ("ann", "ev_0"), ("ann", "\0"), ("eve", made.id)):
        with pytest.raises(NotWatching):
            await catalogue.watched.go_on(who, event_id)
    await catalogue.watched.begin("eve", made.id)
    assert await catalogue.watched.every("eve") == []


async def test_the_latest_are_kept(
    catalogue: Catalogue, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_WATCHED", 3)
    made = [await event(catalogue, f"Mass {number}") for number in range(5)]
    for number in (0, 1, 2, 0, 3, 4):
        clock.at_s += 1.0
        await catalogue.watched.begin("ann", made[number].id)
    assert await titles(catalogue) == ["Mass 4", "Mass 3", "Mass 0"]


async def test_it_is_forgotten_on_request_and_with_the_account(catalogue: Catalogue) -> None:
    some = [await event(catalogue, f"Mass {number}") for number in range(3)]
    for one in some:
        await catalogue.watched.begin("ann", one.id)
        await catalogue.watched.begin("bob", one.id)
    for _ in range(2):
        await catalogue.watched.forget("ann", some[0].id)
    await catalogue.watched.forget("ann", "\0")
    assert len(await titles(catalogue)) == 2
    await catalogue.watched.forget_all("ann")
    assert await titles(catalogue) == []
    assert len(await titles(catalogue, "bob")) == 3
    await catalogue.remove_user("bob")
    await catalogue.add_user("bob", PASSWORD, UserRole.VIEWER)
    assert await titles(catalogue, "bob") == []


async def test_an_event_that_is_hidden_since_is_not_shown(catalogue: Catalogue) -> None:
    made = await event(catalogue)
    await catalogue.watched.begin("ann", made.id)
    patch = EventPatch(visibility=Visibility.INVITED)
    await catalogue.change_event(made.id, made.version, patch)
    assert await titles(catalogue) == []


@given(st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_no_clock_makes_more_than_has_passed(gaps: list[float]) -> None:
    spell = Spell(first_s=NOW_S, last_s=NOW_S, seconds=0.0)
    now_s = NOW_S
    for gap_s in gaps:
        now_s += gap_s
        after = seen_again(spell, now_s)
        assert 0.0 <= after.seconds - spell.seconds <= LONGEST_GAP_S
        assert after.last_s >= spell.last_s
        spell = after
    assert spell.seconds <= spell.last_s - spell.first_s + 1e-3
