"""Captions are kept with their event, bounded, and found by who may, on SQLite and PostgreSQL."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from support.clocks import SetClock
from umbel.catalogue.captions import store
from umbel.catalogue.captions.model import MOST_FOUND, MOST_READ, CaptionPolicy, Heard
from umbel.catalogue.model import Event, EventDraft, EventEvent, NoSuchEvent, Visibility
from umbel.catalogue.service import Catalogue
from umbel.kit.db import Database
from umbel.kit.errors import Unprocessable

NOW_S = 1_803_000_000.0


@pytest.fixture
def catalogue(database: Database) -> Catalogue:
    return Catalogue(database, SetClock(NOW_S))


async def an_event(
    catalogue: Catalogue, title: str = "Council", visibility: Visibility = Visibility.PUBLIC
) -> Event:
    provider = await catalogue.ensure_provider("City", "pe1")
    draft = EventDraft(provider_id=provider.id, title=title, starts_s=NOW_S, ends_s=NOW_S + 3600)
    return await catalogue.add_event(replace(draft, visibility=visibility))


def said(*texts: str, boot: str = "one", first: int = 1) -> list[Heard]:
    return [
        Heard(
            boot=boot,
            number=first + at,
            text=text,
            start_s=NOW_S + 2 * at,
            end_s=NOW_S + 2 * at + 1.5,
        )
        for at, text in enumerate(texts)
    ]


async def found(catalogue: Catalogue, query: str, event_id: str | None = None) -> Sequence[str]:
    return [one.caption.text for one in await catalogue.captions.search(query, event_id)]


async def test_only_events_on_air_with_a_language_are_recognised(catalogue: Catalogue) -> None:
    captions = catalogue.captions
    event, other = await an_event(catalogue), await an_event(catalogue, "Other")
    await captions.set_policy(event.id, "en-US")
    assert await captions.policy(event.id) == CaptionPolicy(language="en-US")
    assert await captions.live() == []
    for one in (event, other):
        for happened in (EventEvent.OPEN, EventEvent.START):
            await catalogue.transition(one.id, happened)
    assert await captions.live() == [(event.id, "en-US")]
    await captions.note_problem(event.id, "x" * 900)
    assert await captions.policy(event.id) == CaptionPolicy(language="en-US", problem="x" * 500)
    await captions.set_policy(event.id, "de")
    assert await captions.live() == [(event.id, "de")]
    await captions.set_policy(event.id, None)
    assert await captions.live() == []
    with pytest.raises(Unprocessable):
        await captions.set_policy(event.id, "--help")
    with pytest.raises(NoSuchEvent):
        await captions.set_policy("ev_none", "en")


async def test_what_was_said_is_read_on_from_where_one_was(catalogue: Catalogue) -> None:
    captions, event = catalogue.captions, await an_event(catalogue)
    assert await captions.last_heard(event.id) == ("", 0)
    await captions.add(event.id, said("one", "two"))
    await captions.add(event.id, [])
    await captions.add(event.id, said("three", boot="two", first=7))
    assert await captions.last_heard(event.id) == ("two", 7)
    everything = await captions.after(event.id, 0)
    assert [(one.number, one.text) for one in everything] == [
        (1, "one"),
        (2, "two"),
        (3, "three"),
    ]
    assert [one.text for one in await captions.after(event.id, 2)] == ["three"]
    assert await captions.after(event.id, None) == everything
    await captions.add(event.id, said(*(["more"] * 300)))
    assert len(await captions.after(event.id, 0)) == MOST_READ
    assert [one.number for one in await captions.after(event.id, None)][-1] == 303
    await captions.forget(event.id)
    await captions.forget(event.id)
    assert await captions.after(event.id, None) == []


async def test_a_part_of_the_time_is_read_in_order(catalogue: Catalogue) -> None:
    captions, event = catalogue.captions, await an_event(catalogue)
    await captions.add(event.id, said("a", "b", "c", "d"))
    part = await captions.between(event.id, NOW_S + 1.5, NOW_S + 5)
    assert [one.text for one in part] == ["b", "c"]
    assert len(await captions.between(event.id, NOW_S)) == 4


async def test_the_oldest_go_first(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_KEPT", 5)
    captions, event = catalogue.captions, await an_event(catalogue)
    for at in range(4):
        await captions.add(event.id, said(f"word{at}", "filler"))
    assert [one.number for one in await captions.after(event.id, 0)] == [4, 5, 6, 7, 8]
    assert await found(catalogue, "word0") == []
    assert await found(catalogue, "word3") == ["word3"]


async def test_captions_are_found_by_the_beginnings_of_their_words(catalogue: Catalogue) -> None:
    captions, event = catalogue.captions, await an_event(catalogue)
    await captions.add(event.id, said("We go forward ten meters", "Ten CAFÉS, please", "forward"))
    assert await found(catalogue, "forw TEN") == ["We go forward ten meters"]
    assert await found(catalogue, "cafes") == ["Ten CAFÉS, please"]
    assert await found(catalogue, "ten") == ["Ten CAFÉS, please", "We go forward ten meters"]
    for nothing in ("", "  ", "!?", "orward", "ten meters now", "%", "'"):
        assert await found(catalogue, nothing) == []
    hit = (await captions.search("cafes"))[0]
    assert (hit.event_id, hit.event_title, hit.provider_name) == (event.id, "Council", "City")
    await captions.add(event.id, said(*(["many"] * 80)))
    assert len(await found(catalogue, "many")) == MOST_FOUND


async def test_only_public_events_are_found_without_naming_them(catalogue: Catalogue) -> None:
    for visibility in (Visibility.PUBLIC, Visibility.UNLISTED, Visibility.INVITED):
        event = await an_event(catalogue, visibility.value, visibility)
        await catalogue.captions.add(event.id, said(f"secret of {visibility.value}"))
        assert len(await found(catalogue, "secret", event.id)) == 1
    assert await found(catalogue, "secret") == ["secret of public"]
