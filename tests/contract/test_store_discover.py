"""What anybody may find is the same on SQLite and on PostgreSQL."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from support.clocks import SetClock
from umbel import migrations
from umbel.catalogue.discover import model
from umbel.catalogue.discover.model import BadCursor, ListedProvider, Search, Section
from umbel.catalogue.model import (
    Event,
    EventDraft,
    EventEvent,
    EventPatch,
    NoSuchEvent,
    Provider,
)
from umbel.catalogue.service import Catalogue
from umbel.catalogue.words.store import MOST_WORDS, event_words
from umbel.kit.db import Database
from umbel.kit.sql import Scalar

NOW_S = 1_803_000_000.0
HOUR_S = 3_600.0
PAST = (EventEvent.OPEN, EventEvent.END)


@pytest.fixture
async def catalogue(database: Database) -> Catalogue:
    return Catalogue(database, SetClock(NOW_S))


async def provider(catalogue: Catalogue, name: str = "City") -> Provider:
    return await catalogue.ensure_provider(name, "pe1")


async def event(
    catalogue: Catalogue,
    title: str,
    *happened: EventEvent,
    after_h: float = 1.0,
    of: str = "City",
    description: str = "",
) -> Event:
    starts_s = NOW_S + after_h * HOUR_S
    draft = EventDraft(
        provider_id=(await provider(catalogue, of)).id,
        title=title,
        description=description,
        starts_s=starts_s,
        ends_s=starts_s + HOUR_S,
    )
    made = await catalogue.add_event(draft)
    for what in happened:
        made = await catalogue.transition(made.id, what)
    return made


async def titles(catalogue: Catalogue, query: str = "", **more: object) -> list[str]:
    found = await catalogue.discover.events(Search(query=query, **more))  # type: ignore[arg-type]
    assert found.cursor == ""
    return [one.title for one in found.items]


async def test_events_by_section(catalogue: Catalogue) -> None:
    await event(catalogue, "Later", after_h=3)
    await event(catalogue, "Sooner", after_h=2)
    await event(catalogue, "Waiting", EventEvent.OPEN)
    await event(catalogue, "Live", EventEvent.OPEN, EventEvent.START, after_h=1.5)
    await event(catalogue, "Ended", *PAST, after_h=5)
    await event(catalogue, "Cancelled", EventEvent.CANCEL, after_h=6)
    assert await titles(catalogue, section=Section.LIVE) == ["Live", "Waiting"]
    assert await titles(catalogue, section=Section.SOON) == ["Sooner", "Later"]
    assert await titles(catalogue, section=Section.PAST) == ["Cancelled", "Ended"]
    every = ["Cancelled", "Ended", "Later", "Sooner", "Live", "Waiting"]
    assert await titles(catalogue) == every


async def test_words_in_title_description_and_provider(catalogue: Catalogue) -> None:
    await event(catalogue, "Città: la GIUNTA", description="Bilancio è aperto")
    await event(catalogue, "Chess", of="Università di Pisa")
    assert await titles(catalogue, "citta") == ["Città: la GIUNTA"]
    assert await titles(catalogue, "giun bilan") == ["Città: la GIUNTA"]
    assert await titles(catalogue, "chess universita") == ["Chess"]
    assert await titles(catalogue, "giunta pisa") == []
    assert await titles(catalogue, "iunta") == []
    assert await titles(catalogue, "%") == await titles(catalogue, "_") == []
    assert await titles(catalogue, "' OR 1=1 --") == []
    assert len(await titles(catalogue, "   ")) == 2


async def test_a_change_is_found_by_its_new_words_only(catalogue: Catalogue) -> None:
    made = await event(catalogue, "Council", description="budget")
    patch = EventPatch(title="Choir", description="songs")
    changed = await catalogue.change_event(made.id, made.version, patch)
    assert await titles(catalogue, "council") == await titles(catalogue, "budget") == []
    assert await titles(catalogue, "choir songs") == ["Choir"]
    await catalogue.transition(changed.id, EventEvent.OPEN)
    assert await titles(catalogue, "choir") == ["Choir"]
    await catalogue.change_provider(made.provider_id, name="Parish")
    assert await titles(catalogue, "city") == []
    assert await titles(catalogue, "parish") == ["Choir"]


@pytest.mark.parametrize("section", [None, *Section])
async def test_pages_hold_each_event_once_also_those_that_start_together(
    catalogue: Catalogue, section: Section | None
) -> None:
    happened = {Section.LIVE: PAST[:1], Section.PAST: PAST}.get(section or Section.SOON, ())
    for number in range(7):
        await event(catalogue, f"Mass {number}", *happened, after_h=1 + number // 3)
    whole = (await catalogue.discover.events(Search(section=section))).items
    search, seen = Search(section=section, query="mass", most=2), list[Event]()
    while True:
        page = await catalogue.discover.events(search)
        seen += page.items
        if not page.cursor:
            break
        assert len(page.items) == 2
        search = replace(search, cursor=page.cursor)
    assert seen == list(whole)
    assert len(seen) == 7


async def test_a_page_goes_on_where_it_was_though_events_come(catalogue: Catalogue) -> None:
    await event(catalogue, "First")
    await event(catalogue, "Second", after_h=2)
    search = Search(section=Section.SOON, most=1)
    page = await catalogue.discover.events(search)
    await event(catalogue, "Before all", after_h=0.5)
    after = await catalogue.discover.events(replace(search, cursor=page.cursor))
    assert [one.title for one in after.items] == ["Second"]


@pytest.mark.parametrize(
    "cursor", ["x", "%%%", "AAAA", "_w", model._packed("inf ev_1"), model._packed("0x1p0 ")]
)
async def test_a_cursor_that_no_page_gave(catalogue: Catalogue, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await catalogue.discover.events(Search(cursor=cursor))


async def test_providers_with_what_they_have(catalogue: Catalogue) -> None:
    await event(catalogue, "Now", EventEvent.OPEN, of="Club")
    await event(catalogue, "Next", of="Club")
    await event(catalogue, "Over", *PAST, of="Club")
    await provider(catalogue, "Área cultural")
    await provider(catalogue, "Club Atlético")
    found = await catalogue.discover.providers("club", most=1)
    assert [(one.name, one.live, one.soon) for one in found.items] == [("Club", 1, 1)]
    after = await catalogue.discover.providers("club", cursor=found.cursor, most=1)
    assert [one.name for one in after.items] == ["Club Atlético"]
    assert after.cursor == ""
    (area,) = (await catalogue.discover.providers("area", most=5)).items
    assert isinstance(area, ListedProvider)
    assert (area.name, area.live, area.soon) == ("Área cultural", 0, 0)
    assert len((await catalogue.discover.providers(most=5)).items) == 3
    assert (await catalogue.discover.providers("?", most=5)).items == ()
    with pytest.raises(BadCursor):
        await catalogue.discover.providers(cursor="%", most=5)


async def test_one_event(catalogue: Catalogue) -> None:
    made = await event(catalogue, "Council")
    assert await catalogue.discover.event(made.id) == made
    for other in ("ev_0", "", "\0", "x" * 100):
        with pytest.raises(NoSuchEvent):
            await catalogue.discover.event(other)
    assert await titles(catalogue, provider_id=made.provider_id) == ["Council"]
    assert await titles(catalogue, provider_id="pr_0") == []
    assert await titles(catalogue, provider_id="\0") == []


async def test_one_event_has_a_bounded_number_of_words(
    catalogue: Catalogue, database: Database
) -> None:
    long = " ".join(f"w{number}" for number in range(900))
    await event(catalogue, "Council", description=long)
    count = Scalar(select(func.count()).select_from(event_words), int)
    assert await database.read(lambda connection: connection.scalar(count)) == MOST_WORDS
    assert await titles(catalogue, "council w7") == ["Council"]


async def test_events_of_before_the_words_are_found_after_the_upgrade(
    catalogue: Catalogue, database: Database
) -> None:
    await event(catalogue, "Città aperta", of="Università")
    await migrations.downgrade(database, "0031")
    await migrations.upgrade(database)
    assert await titles(catalogue, "citta universita") == ["Città aperta"]


async def test_many_at_once(catalogue: Catalogue) -> None:
    made = await event(catalogue, "Council")
    found = await asyncio.gather(*(catalogue.discover.event(made.id) for _ in range(20)))
    assert found == [made] * 20
