"""Predictions, accounts' access nodes and reads for forecasts, on SQLite and on PostgreSQL."""

from dataclasses import replace

import pytest

from support.clocks import SetClock
from support.passwords import SharedHashes
from umbel.catalogue.demand import service as sources
from umbel.catalogue.model import Event, EventDraft, EventEvent, UserRole
from umbel.catalogue.reservations.model import Purpose
from umbel.catalogue.service import Catalogue
from umbel.delivery.demand import store
from umbel.delivery.demand.model import Prediction
from umbel.kit.db import Database

NOW_S = 1_803_000_000.0
PASSWORD = "correct horse battery"
USERS = ("ann", "bob", "cat", "dan")


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW_S)


@pytest.fixture
async def catalogue(database: Database, clock: SetClock) -> Catalogue:
    made = Catalogue(database, clock, passwords=SharedHashes(PASSWORD))
    for name in USERS:
        await made.add_user(name, PASSWORD, UserRole.VIEWER)
    return made


async def event(catalogue: Catalogue, after_s: float, provider: str = "City") -> Event:
    who = await catalogue.ensure_provider(provider, "pe1")
    starts_s = NOW_S + after_s
    draft = EventDraft(
        provider_id=who.id, title="Council", starts_s=starts_s, ends_s=starts_s + 3_600
    )
    return await catalogue.add_event(draft)


def prediction(event: Event) -> Prediction:
    return Prediction(
        event_id=event.id,
        starts_s=event.starts_s,
        ends_s=event.ends_s,
        made_s=NOW_S,
        reservations=3,
        show_up=0.6,
        walk_ins=1.5,
        earlier=2,
        viewers={"pe1": 1.8, "pe2": 1.5},
        shape=(0.1, 1.0, 0.5),
    )


async def test_reservations_count_where_their_accounts_were_last(
    catalogue: Catalogue, other: Catalogue
) -> None:
    made = await event(catalogue, 600)
    for name in USERS:
        purpose = Purpose.RECORD if name == "dan" else Purpose.BOTH
        await catalogue.reservations.reserve(name, made.id, purpose)
    await catalogue.demand.note_node("ann", "pe1")
    await other.demand.note_node("ann", "pe2")
    await catalogue.demand.note_node("bob", "pe2")
    await catalogue.demand.note_node("dan", "pe1")  # recorded, and nobody is there
    await catalogue.demand.note_node("nobody", "pe1")
    assert await other.demand.by_node(made.id) == {"pe2": 2, "": 1}
    over, later = await event(catalogue, 500), await event(catalogue, 900)
    for one in (over, later):
        await catalogue.reservations.reserve("ann", one.id, Purpose.WATCH)
    await catalogue.transition(over.id, EventEvent.CANCEL)
    found = await other.demand.starting_by_node(NOW_S, NOW_S + 800)
    assert found == {made.id: {"pe2": 2, "": 1}}
    await catalogue.reservations.cancel("bob", made.id)
    await catalogue.remove_user("ann")
    assert await other.demand.by_node(made.id) == {"": 1}


async def test_events_that_start_are_those_that_may_still_happen(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await event(catalogue, 10), await event(catalogue, 20)
    cancelled, _late = await event(catalogue, 15), await event(catalogue, 31)
    await catalogue.transition(cancelled.id, EventEvent.CANCEL)
    await catalogue.transition(second.id, EventEvent.OPEN)
    found = await catalogue.demand.starting(NOW_S, NOW_S + 30)
    assert [one.event.id for one in found] == [first.id, second.id]
    assert {one.access_node for one in found} == {"pe1"}
    assert await catalogue.demand.starting(NOW_S + 20, NOW_S + 30) == []
    monkeypatch.setattr(sources, "MOST_STARTING", 1)
    assert len(await catalogue.demand.starting(NOW_S, NOW_S + 30)) == 1


async def test_earlier_events_are_the_providers_newest(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await event(catalogue, after_s) for after_s in (10, 20, 30)]
    foreign, going = await event(catalogue, 15, "Club"), await event(catalogue, 25)
    await catalogue.reservations.reserve("ann", made[1].id, Purpose.WATCH)
    await catalogue.reservations.reserve("bob", made[1].id, Purpose.RECORD)
    for one in (*made, foreign):
        await catalogue.transition(one.id, EventEvent.OPEN)
        await catalogue.transition(one.id, EventEvent.END)
    provider_id = going.provider_id
    found = await catalogue.demand.earlier(provider_id, NOW_S + 30)
    assert [(one.event.id, one.reservations) for one in found] == [
        (made[1].id, 1),
        (made[0].id, 0),
    ]
    monkeypatch.setattr(sources, "MOST_EARLIER", 1)
    assert len(await catalogue.demand.earlier(provider_id, NOW_S + 30)) == 1


async def test_a_prediction_is_kept_and_goes_on_yielding(
    database: Database, catalogue: Catalogue
) -> None:
    made = await event(catalogue, 600)
    new = prediction(made)
    assert await database.read(store.prediction_of, made.id) is None
    await database.write(store.put, [new])
    await database.write(store.give_way, [made.id, "ev_gone"], ["pe1"], NOW_S + 60)
    await database.write(store.give_way, [made.id], ["pe2", "pe3"], NOW_S + 70)
    later = replace(new, made_s=NOW_S + 10, viewers={"pe3": 4.0}, reservations=9)
    await database.write(store.put, [later])
    yields = {"pe1": NOW_S + 60, "pe2": NOW_S + 70, "pe3": NOW_S + 70}
    assert await database.read(store.prediction_of, made.id) == replace(later, yields=yields)


async def test_predictions_are_read_by_their_start(
    database: Database, catalogue: Catalogue
) -> None:
    made = [prediction(await event(catalogue, after_s)) for after_s in (10, 20, 30, 40)]
    await database.write(store.put, made)
    found = await database.read(store.predictions_between, NOW_S + 10, NOW_S + 30)
    assert found == {one.event_id: one for one in made[1:3]}
