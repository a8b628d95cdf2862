"""Migrations as rows, on SQLite and on PostgreSQL."""

import asyncio
from dataclasses import replace

import pytest

from umbel.compute.model import Move
from umbel.kit.db import Database
from umbel.kit.journal import Journal
from umbel.kit.states import IllegalTransition
from umbel.mobility import store as stored
from umbel.mobility.model import (
    Migration,
    MigrationEvent,
    MigrationKind,
    MigrationState,
    Step,
    Terms,
)
from umbel.mobility.store import (
    MigrationsBusy,
    MigrationStore,
    MigrationTooLate,
    MigrationUnderWay,
    NoSuchMigration,
    TooManyMigrations,
)

NOW_S = 1_000.0
E = MigrationEvent
WAY = (E.ADMIT, E.PREPARE, E.COPY, E.SWITCH, E.COMMIT)


@pytest.fixture
def store(database: Database) -> MigrationStore:
    return MigrationStore(database)


def migration(number: int, *, function: str = "", **more: object) -> Migration:
    made = Migration(
        id=f"mi_{number}",
        function=function or f"edge-{number}",
        owner="delivery",
        source="pe1",
        target="pe2",
        kind=MigrationKind.FULL_TRANSFER,
        requested_by="operator",
        requested_s=NOW_S + number,
        changed_s=NOW_S + number,
        wait_until_s=NOW_S + 60,
        terms=Terms(max_gap_s=0.1, dirty_mbps=20.0),
    )
    return replace(made, **more)  # type: ignore[arg-type]


async def after(store: MigrationStore, number: int, *events: MigrationEvent) -> Migration:
    for event in events:
        found = await store.transition(f"mi_{number}", Step(event=event), at_s=NOW_S + 10)
    return found


async def test_it_is_kept_as_it_was(store: MigrationStore) -> None:
    await store.add(migration(1))
    assert await store.get("mi_1") == migration(1)
    assert await store.all() == await store.active() == [migration(1)]
    with pytest.raises(NoSuchMigration):
        await store.get("mi_9")
    with pytest.raises(NoSuchMigration):
        await after(store, 9, E.ADMIT)


async def test_its_life_is_reported(store: MigrationStore, database: Database) -> None:
    await store.add(migration(1))
    admitted = Step(event=E.ADMIT, predicted={"gap_s": 0.05})
    await store.transition("mi_1", admitted, at_s=NOW_S + 2, most_running=1)
    copying = await after(store, 1, E.PREPARE, E.COPY)
    assert copying.copying_s == NOW_S + 10
    await store.report(replace(copying, progress={"copied_mb": 5.0}), at_s=NOW_S + 11)
    await after(store, 1, E.SWITCH)
    done = Step(event=E.COMMIT, achieved={"duration_s": 3.0})
    assert (await store.transition("mi_1", done, at_s=NOW_S + 13)).is_over
    found = await store.get("mi_1")
    assert (found.predicted, found.achieved) == ({"gap_s": 0.05}, {"duration_s": 3.0})
    assert (found.progress, found.copying_s) == ({"copied_mb": 5.0}, NOW_S + 10)
    bodies = [c.body for c in await Journal(database).since(0) if c.kind == "migration"]
    assert [body["state"] for body in bodies] == [
        *("planned", "admitted", "prepared", "copying", "copying", "switched", "committed"),
    ]
    await store.report(replace(found, reason="late"), at_s=NOW_S + 20)
    assert await store.get("mi_1") == found


async def test_a_function_has_one_migration_at_a_time(store: MigrationStore) -> None:
    tries = [store.add(migration(n, function="edge")) for n in (1, 2, 3)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == [
        *("MigrationUnderWay", "MigrationUnderWay", "NoneType")
    ]
    (first,) = await store.active()
    await store.transition(first.id, Step(event=E.ABORT, reason="no"), at_s=NOW_S)
    await store.add(migration(4, function="edge"))
    with pytest.raises(MigrationUnderWay):
        await store.add(migration(5, function="edge"))


async def test_so_many_run_at_once(store: MigrationStore) -> None:
    for number in (1, 2, 3):
        await store.add(migration(number))
    admit = Step(event=E.ADMIT)
    admits = [store.transition(f"mi_{n}", admit, at_s=NOW_S, most_running=2) for n in (1, 2, 3)]
    outcomes = await asyncio.gather(*admits, return_exceptions=True)
    assert [type(one) for one in outcomes].count(MigrationsBusy) == 1
    waiting = [one.id for one in await store.active() if one.state is MigrationState.PLANNED]
    (running, _) = [one for one in await store.active() if one.state is MigrationState.ADMITTED]
    await store.transition(running.id, Step(event=E.ABORT), at_s=NOW_S)
    await store.transition(waiting[0], admit, at_s=NOW_S, most_running=2)


async def test_so_many_are_accepted(store: MigrationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MOST_ACTIVE", 2)
    await store.add(migration(1))
    await store.add(migration(2))
    with pytest.raises(TooManyMigrations):
        await store.add(migration(3))


async def test_the_oldest_that_are_over_are_forgotten(
    store: MigrationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "KEEP", 2)
    for number in (1, 2, 3):
        await store.add(migration(number))
    await after(store, 2, E.ABORT)
    await store.add(migration(4))
    # The first is old, but not over.
    assert [one.id for one in await store.all()] == ["mi_4", "mi_3", "mi_1"]


@pytest.mark.parametrize("steps", range(len(WAY) + 1))
async def test_it_is_cancelled_until_it_has_switched(store: MigrationStore, steps: int) -> None:
    await store.add(migration(1))
    await after(store, 1, *WAY[:steps]) if steps else None
    if steps < WAY.index(E.SWITCH) + 1:
        await store.cancel("mi_1", by="anna", at_s=NOW_S)
        await store.cancel("mi_1", by="bert", at_s=NOW_S)
        assert (await store.get("mi_1")).cancelled_by == "anna"
        return
    with pytest.raises(MigrationTooLate):
        await store.cancel("mi_1", by="anna", at_s=NOW_S)
    with pytest.raises(IllegalTransition):
        await after(store, 1, E.ABORT)


async def test_compute_learns_of_copies_and_of_those_made_a_moment_ago(
    store: MigrationStore,
) -> None:
    async def moves(since_s: float = NOW_S) -> dict[str, Move]:
        return await store.moves(since_s)

    await store.add(migration(1))
    await after(store, 1, E.ADMIT, E.PREPARE)
    assert await moves() == {}
    await after(store, 1, E.COPY)
    copying = Move(source="pe1", target="pe2", is_copying=True)
    # A copy or a switch that began long ago counts as one of now.
    assert await moves() == await moves(NOW_S + 999) == {"edge-1": copying}
    await after(store, 1, E.SWITCH)
    made = replace(copying, is_copying=False)
    assert await moves() == await moves(NOW_S + 999) == {"edge-1": made}
    await after(store, 1, E.COMMIT)
    assert (await moves(), await moves(NOW_S + 999)) == ({"edge-1": made}, {})
    await store.add(migration(2, function="edge-1", source="pe2", target="pe3"))
    await after(store, 2, E.ADMIT, E.PREPARE, E.COPY)
    assert await moves() == {"edge-1": Move(source="pe2", target="pe3", is_copying=True)}
    await after(store, 2, E.ABORT)
    assert await moves() == {"edge-1": made}


async def test_a_replacement_is_no_copy(store: MigrationStore) -> None:
    await store.add(migration(1, kind=MigrationKind.REPLACEMENT))
    await after(store, 1, E.ADMIT, E.PREPARE, E.COPY)
    assert await store.moves(NOW_S) == {}
