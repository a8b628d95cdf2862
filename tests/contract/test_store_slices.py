"""Slices as rows, on SQLite and on PostgreSQL."""

import asyncio
from dataclasses import replace

import pytest

from umbel.kit.db import Database
from umbel.kit.journal import Journal
from umbel.network.model import Link, Topology
from umbel.network.slices import admission
from umbel.network.slices.admission import Grade, Granted, NoRoomForSlice, Offer, SliceRequest
from umbel.network.slices.store import NoSuchSlice, SliceStore

NOW_S = 1_000.0
AB = ("a", "b")
OFFER = Offer(topology=Topology(nodes=AB, links=(Link(a="a", b="b", mbps=150.0),)))
ONE = Granted(
    id="sl_1",
    number=1,
    request=SliceRequest(grade=Grade.GOLD, stream="ev_1"),
    links=(AB,),
    unguaranteed=(("b", "c"),),
    opened_s=NOW_S,
)
PAIR = Granted(
    id="sl_2",
    number=2,
    request=SliceRequest(grade=Grade.BRONZE, functions=("acquirer-a-1", "edge-b-1")),
    opened_s=NOW_S + 1,
)


@pytest.fixture
def store(database: Database) -> SliceStore:
    return SliceStore(database)


async def test_slices_are_kept_as_they_were_oldest_first(store: SliceStore) -> None:
    assert await store.all() == ()
    await store.change(lambda _: [PAIR, ONE], at_s=NOW_S)
    assert await store.all() == (ONE, PAIR)
    changed = replace(ONE, links=(), unguaranteed=())
    await store.change(lambda held: [changed, *held[1:]], at_s=NOW_S)
    assert await store.all() == (changed, PAIR)
    await store.change(lambda _: [PAIR], at_s=NOW_S)
    assert await store.all() == (PAIR,)


async def test_what_changed_is_told(store: SliceStore, database: Database) -> None:
    await store.change(lambda _: [ONE, PAIR], at_s=NOW_S)
    await store.change(lambda held: [replace(held[0], unguaranteed=()), held[1]], at_s=NOW_S)
    await store.change(lambda held: held[1:], at_s=NOW_S)
    told = [(c.subject, c.body["what"]) for c in await Journal(database).since(0)]
    assert told == [
        ("sl_1", "opened"),
        ("sl_2", "opened"),
        ("sl_1", "changed"),
        ("sl_1", "closed"),
    ]


async def test_a_refusal_changes_nothing(store: SliceStore) -> None:
    await store.change(lambda _: [ONE], at_s=NOW_S)

    def refuse(_: tuple[Granted, ...]) -> list[Granted]:
        raise NoSuchSlice

    with pytest.raises(NoSuchSlice):
        await store.change(refuse, at_s=NOW_S)
    assert await store.all() == (ONE,)


async def test_of_many_at_once_only_those_are_admitted_that_fit(store: SliceStore) -> None:
    async def ask(turn: int) -> None:
        request = SliceRequest(grade=Grade.GOLD, stream=f"ev_{turn}")

        def decide(held: tuple[Granted, ...]) -> tuple[Granted, ...]:
            number = admission.admit(OFFER, held, request, [AB])
            new = Granted(id=f"sl_{turn}", number=number, request=request, links=(AB,))
            return (*held, new)

        await store.change(decide, at_s=NOW_S)

    outcomes = await asyncio.gather(*(ask(turn) for turn in range(6)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 2
    assert sum(isinstance(outcome, NoRoomForSlice) for outcome in outcomes) == 4
    assert [one.number for one in await store.all()] == [1, 2]
