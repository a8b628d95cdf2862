"""What providers do in the studio, on both databases: audiences, series, teams, pictures."""

import asyncio
from dataclasses import replace

import pytest

from support.clocks import SetClock
from support.passwords import SharedHashes
from umbel.catalogue.model import (
    Event,
    EventDraft,
    EventPatch,
    EventState,
    MemberRole,
    NoSuchEvent,
    UserRole,
    Visibility,
)
from umbel.catalogue.reservations.model import Purpose
from umbel.catalogue.series.model import Every, Repeat
from umbel.catalogue.service import Catalogue
from umbel.catalogue.team.model import LastOwner, Member
from umbel.catalogue.visibility.model import ANYBODY, PassPhraseNeeded, Watcher, WrongPassPhrase
from umbel.kit.db import Database, VersionMismatch
from umbel.kit.errors import Unprocessable

NOW_S = 1_803_000_000.0
PHRASE = "the old lighthouse"
WEEKLY = Repeat(every=1, unit=Every.WEEK, count=3)


@pytest.fixture
async def catalogue(database: Database) -> Catalogue:
    made = Catalogue(database, SetClock(NOW_S), passwords=SharedHashes("a long password"))
    provider = await made.ensure_provider("City", "pe1")
    await made.add_user("city", "a long password", UserRole.PROVIDER, provider.id)
    await made.add_user("ann", "a long password", UserRole.VIEWER)
    await made.add_user("bob", "a long password", UserRole.VIEWER)
    return made


async def draft(catalogue: Catalogue, visibility: Visibility = Visibility.PUBLIC) -> EventDraft:
    (provider,) = await catalogue.providers()
    return EventDraft(
        provider_id=provider.id,
        title="Council",
        starts_s=NOW_S + 3_600,
        ends_s=NOW_S + 7_200,
        visibility=visibility,
        time_zone="Europe/Rome",
    )


async def hidden(catalogue: Catalogue, visibility: Visibility) -> Event:
    phrase = PHRASE if visibility is Visibility.PHRASE else None
    return await catalogue.add_event(await draft(catalogue, visibility), phrase)


async def test_a_pass_phrase_is_kept_as_a_hash_and_changed(
    catalogue: Catalogue, database: Database
) -> None:
    event, audiences = await hidden(catalogue, Visibility.PHRASE), catalogue.audiences
    with pytest.raises(PassPhraseNeeded):
        await audiences.event(event.id, ANYBODY)
    with pytest.raises(WrongPassPhrase):
        await audiences.unlock(event.id, "another phrase", ANYBODY, "192.0.2.1")
    granted = await audiences.unlock(event.id, PHRASE, ANYBODY, "192.0.2.1")
    holder = Watcher(granted_event=event.id, granted_generation=granted)
    assert await audiences.event(event.id, holder) == event
    patch = EventPatch(title="New")
    changed = await catalogue.change_event(event.id, 1, patch, "a newer phrase")
    with pytest.raises(PassPhraseNeeded):
        await audiences.event(event.id, holder)
    await catalogue.change_event(
        event.id, changed.version, EventPatch(visibility=Visibility.PUBLIC)
    )
    assert (await audiences.event(event.id, ANYBODY)).visibility is Visibility.PUBLIC
    with pytest.raises(Unprocessable):
        again = EventPatch(visibility=Visibility.PHRASE)
        await catalogue.change_event(event.id, changed.version + 1, again)


async def test_invitations_open_an_event_and_its_place_in_calendars(catalogue: Catalogue) -> None:
    event, audiences = await hidden(catalogue, Visibility.INVITED), catalogue.audiences
    assert await audiences.invite(event.id, ["bob", "ann", "ann"]) == ["ann", "bob"]
    assert (await audiences.event(event.id, Watcher(username="ann"))).id == event.id
    for who in ("ann", "bob", "city"):
        await catalogue.reservations.reserve(who, event.id, Purpose.WATCH)
    await audiences.invite(event.id, ["bob"])
    with pytest.raises(NoSuchEvent):
        await audiences.event(event.id, Watcher(username="ann"))
    shown = {who: len(await catalogue.reservations.every(who)) for who in ("ann", "bob", "city")}
    assert shown == {"ann": 0, "bob": 1, "city": 1}
    with pytest.raises(Unprocessable, match="nobody"):
        await audiences.invite(event.id, ["nobody"])
    assert await audiences.invited(event.id) == ["bob"]
    assert await catalogue.events() == []
    assert [one.id for one in await catalogue.events(listed=False)] == [event.id]


async def test_a_series_changes_whole_or_not(catalogue: Catalogue) -> None:
    events = await catalogue.series.add(await draft(catalogue), WEEKLY)
    ids = [one.id for one in events]
    with pytest.raises(Unprocessable):
        bad = EventPatch(title="New", visibility=Visibility.PHRASE)
        await catalogue.series.change(ids[1], 1, bad)
    assert {one.title for one in await catalogue.events()} == {"Council"}
    later = EventPatch(title="New", starts_s=events[1].starts_s + 1_800)
    changed = await catalogue.series.change(ids[1], 1, later)
    assert [one.id for one in changed] == ids[1:]
    assert [one.starts_s - old.starts_s for one, old in zip(changed, events[1:], strict=True)] == [
        1_800,
        1_800,
    ]
    with pytest.raises(VersionMismatch):
        await catalogue.series.change(ids[1], 1, later)
    await catalogue.series.cancel(ids[1])
    states = [one.state for one in await catalogue.events()]
    assert states == [EventState.SCHEDULED, EventState.CANCELLED, EventState.CANCELLED]


async def test_of_owners_who_leave_at_once_one_stays(catalogue: Catalogue) -> None:
    (provider,) = await catalogue.providers()
    teams = catalogue.teams
    for name in ("ann", "bob"):
        await teams.put(provider.id, name, MemberRole.OWNER)
    names = ("ann", "bob", "city")
    left = await asyncio.gather(
        *(teams.remove(provider.id, name) for name in names), return_exceptions=True
    )
    assert [type(one) for one in left if one is not None] == [LastOwner]
    (last,) = await teams.members(provider.id)
    assert last == Member(username=last.username, role=MemberRole.OWNER)
    user = await catalogue.user(last.username)
    assert user.owned_ids == {provider.id}


async def test_pictures_and_overlaps(catalogue: Catalogue) -> None:
    first = await catalogue.add_event(await draft(catalogue))
    second = await catalogue.add_event(replace(await draft(catalogue), ends_s=NOW_S + 9_000))
    assert [one.id for one in await catalogue.overlapping(first)] == [second.id]
    assert await catalogue.set_picture(first.id, "item_1") == ""
    assert await catalogue.set_picture(second.id, "item_1") == ""
    assert await catalogue.set_picture(first.id, "item_2") == "", "another event shows it"
    assert await catalogue.set_picture(second.id, "") == "item_1"
