"""Requests for plans as rows, on SQLite and on PostgreSQL."""

import asyncio
from dataclasses import replace

import pytest

from umbel.kit.db import Database
from umbel.kit.journal import Journal
from umbel.kit.states import IllegalTransition
from umbel.plans.model import PlanEvent, PlanJob, PlanState
from umbel.plans.store import NoSuchPlan, PlanStore, TooManyPlans

NOW_S = 1_000.0


@pytest.fixture
def store(database: Database) -> PlanStore:
    return PlanStore(database)


def job(number: int) -> PlanJob:
    return PlanJob(
        id=f"pl_{number}",
        asked_by="operator",
        asked_s=NOW_S + number,
        seen_s=NOW_S + number,
        state=PlanState.WAITING,
        summary={"gamma": 1.0, "rows": 3},
    )


async def add(store: PlanStore, number: int, *, most: int = 9, keep: int = 9) -> PlanJob:
    await store.add(job(number), most_active=most, keep=keep)
    return job(number)


async def test_a_job_is_kept_as_it_was(store: PlanStore) -> None:
    assert await store.plan((await add(store, 1)).id) == job(1)
    assert await store.plans() == [job(1)]
    with pytest.raises(NoSuchPlan):
        await store.plan("pl_9")


async def test_its_life_is_told(store: PlanStore, database: Database) -> None:
    await add(store, 1)
    assert await store.transition("pl_1", PlanEvent.START, at_s=NOW_S + 2) is PlanState.RUNNING
    assert await store.touch("pl_1", at_s=NOW_S + 3, progress={"stage": "solving", "done": 1})
    result = {"plan": None, "bound": 1.5}
    await store.transition("pl_1", PlanEvent.FINISH, at_s=NOW_S + 4, result=result)
    found = await store.plan("pl_1")
    assert (found.state, found.result, found.seen_s) == (PlanState.DONE, result, NOW_S + 4)
    assert found.progress == {"stage": "solving", "done": 1}
    assert (await store.plans())[0].result is None
    told = [
        c.body for c in await Journal(database).since(0) if (c.kind, c.subject) == ("plan", "pl_1")
    ]
    assert [body["state"] for body in told] == ["waiting", "running", "running", "done"]
    assert told[2]["stage"] == "solving"


async def test_what_is_over_stays_over(store: PlanStore) -> None:
    await add(store, 1)
    await store.transition("pl_1", PlanEvent.CANCEL, at_s=NOW_S)
    for event in (PlanEvent.START, PlanEvent.FINISH, PlanEvent.FAIL, PlanEvent.CANCEL):
        with pytest.raises(IllegalTransition):
            await store.transition("pl_1", event, at_s=NOW_S, result={})
    assert not await store.touch("pl_1", at_s=NOW_S + 9)
    assert await store.plan("pl_1") == replace(job(1), state=PlanState.CANCELLED, seen_s=NOW_S)


async def test_of_finishing_and_cancelling_at_once_one_wins(store: PlanStore) -> None:
    await add(store, 1)
    await store.transition("pl_1", PlanEvent.START, at_s=NOW_S)
    outcomes = await asyncio.gather(
        store.transition("pl_1", PlanEvent.FINISH, at_s=NOW_S, result={}),
        store.transition("pl_1", PlanEvent.CANCEL, at_s=NOW_S),
        return_exceptions=True,
    )
    states = [outcome for outcome in outcomes if isinstance(outcome, PlanState)]
    assert len(states) == 1
    assert (await store.plan("pl_1")).state is states[0]


async def test_so_many_may_be_active(store: PlanStore) -> None:
    await add(store, 1, most=2)
    await add(store, 2, most=2)
    with pytest.raises(TooManyPlans):
        await add(store, 3, most=2)
    await store.transition("pl_1", PlanEvent.CANCEL, at_s=NOW_S)
    await add(store, 3, most=2)


async def test_the_oldest_that_are_over_are_forgotten(store: PlanStore) -> None:
    for number in (1, 2, 3):
        await add(store, number)
    await store.transition("pl_2", PlanEvent.CANCEL, at_s=NOW_S)
    await add(store, 4, keep=2)
    # The first is old, but still cared for.
    assert [found.id for found in await store.plans()] == ["pl_4", "pl_3", "pl_1"]


async def test_forgetting_leaves_what_is_active(store: PlanStore) -> None:
    await add(store, 1)
    await store.forget("pl_1")
    assert len(await store.plans()) == 1
    await store.transition("pl_1", PlanEvent.FAIL, at_s=NOW_S, reason="no")
    await store.forget("pl_1")
    assert await store.plans() == []


async def test_what_was_not_seen_for_long_is_failed(store: PlanStore) -> None:
    await add(store, 1)
    await add(store, 5)
    await store.fail_abandoned(unseen_since_s=NOW_S + 3, at_s=NOW_S + 40)
    states = {found.id: (found.state, bool(found.reason)) for found in await store.plans()}
    assert states == {"pl_1": (PlanState.FAILED, True), "pl_5": (PlanState.WAITING, False)}
