"""Subscribers and notices as rows, on both databases."""

import asyncio
from typing import Any

import pytest

from umbel.kit.db import Database
from umbel.kit.journal import Journal
from umbel.notify.model import Kind, Notice, Place, Progress, Subscriber, SubscriberState
from umbel.notify.store import NoSuchSubscriber, NotifyStore, TooManySubscribers

UP = Notice(at_s=1.0, kind=Kind.SWITCH_UP, subject="pe1", body={"node": "pe1"})
DOWN = Notice(at_s=2.0, kind=Kind.SWITCH_DOWN, subject="pe1", body={"node": "pe1"})


@pytest.fixture
def store(database: Database) -> NotifyStore:
    return NotifyStore(database)


def subscriber(id_: str = "sub_1", **progress: Any) -> Subscriber:
    return Subscriber(
        id=id_,
        url="http://127.0.0.1:9/hook",
        kinds=frozenset({Kind.SWITCH_UP}),
        note="mine",
        created_s=5.0,
        sealed_secret="sealed",
        progress=Progress(**progress),
    )


async def add(store: NotifyStore, *ids: str, owner: str = "cp_1", until_s: float = 100.0) -> None:
    for id_ in ids:
        await store.add(subscriber(id_), owner, until_s, 10)


async def test_what_is_stored_is_read(store: NotifyStore) -> None:
    await add(store, "sub_1", "sub_2")
    assert await store.subscriber("sub_1") == subscriber("sub_1")
    assert [one.id for one in await store.subscribers()] == ["sub_1", "sub_2"]
    failing = Progress(
        state=SubscriberState.FAILING, cursor=3, sequence=2, failures=4, failing_since_s=1.5
    )
    assert await store.save("sub_1", failing)
    assert (await store.subscriber("sub_1")).progress == failing
    await store.remove("sub_1")
    with pytest.raises(NoSuchSubscriber):
        await store.subscriber("sub_1")
    with pytest.raises(NoSuchSubscriber):
        await store.remove("sub_1")
    assert not await store.save("sub_1", failing)


async def test_there_is_a_most(store: NotifyStore) -> None:
    await add(store, *(f"sub_{n}" for n in range(10)))
    with pytest.raises(TooManySubscribers):
        await add(store, "sub_11")


async def test_notices_are_journaled_in_the_same_unit(
    store: NotifyStore, database: Database
) -> None:
    await store.append([UP, DOWN])
    kept = await store.since(0, 10)
    assert [(n.kind, n.subject, n.body, n.at_s) for n in kept] == [
        ("switch_up", "pe1", {"node": "pe1"}, 1.0),
        ("switch_down", "pe1", {"node": "pe1"}, 2.0),
    ]
    assert await store.since(kept[0].id, 10) == kept[1:]
    assert await store.head() == kept[1].id
    journal = [(c.kind, c.subject, c.body) for c in await Journal(database).since(0)]
    assert journal == [(n.kind, n.subject, n.body) for n in kept]


async def test_a_new_subscriber_begins_at_the_head(store: NotifyStore) -> None:
    await store.append([UP])
    await add(store, "sub_1")
    await store.append([UP, DOWN, UP])
    kept = await store.since(0, 10)
    backlog = await store.backlog(await store.subscriber("sub_1"), kept[-1].id, 10)
    assert backlog.notices == (kept[1], kept[3])
    assert backlog.missed == 0


async def test_a_backlog_is_bounded_and_counts_what_it_leaves_out(store: NotifyStore) -> None:
    await add(store, "sub_1")
    await store.append([UP] * 10)
    kept = await store.since(0, 20)
    late = await store.subscriber("sub_1")
    backlog = await store.backlog(late, kept[7].id, 3)
    assert (backlog.notices, backlog.missed) == (tuple(kept[5:8]), 5)
    await store.trim(4)
    trimmed = await store.backlog(late, kept[9].id, 10)
    assert trimmed.notices == tuple(kept[6:])
    assert trimmed.missed == 1  # nobody knows how many, but some


async def test_the_roster_is_remembered(store: NotifyStore) -> None:
    assert await store.roster() == {}
    roster = {"edge-1": Place(node="pe1", role="edge"), "acq-1": Place(node="pe2", role="acquirer")}
    await store.append([UP], roster)
    assert await store.roster() == roster
    await store.append([DOWN], {})
    assert await store.roster() == {}


async def test_one_instance_serves_a_subscriber_until_its_time_is_over(store: NotifyStore) -> None:
    assert await store.hold("cp_1", now_s=0.0, ttl_s=10.0) == []
    await add(store, "sub_1", owner="cp_1", until_s=10.0)
    assert await store.hold("cp_2", now_s=9.0, ttl_s=10.0) == []
    assert [s.id for s in await store.hold("cp_1", now_s=9.0, ttl_s=10.0)] == ["sub_1"]
    assert await store.hold("cp_2", now_s=18.0, ttl_s=10.0) == []
    assert [s.id for s in await store.hold("cp_2", now_s=19.0, ttl_s=10.0)] == ["sub_1"]
    assert await store.hold("cp_1", now_s=20.0, ttl_s=10.0) == []
    assert not await store.save("sub_1", Progress(cursor=9), "cp_1")
    assert await store.save("sub_1", Progress(cursor=9), "cp_2")
    await store.release("cp_2")
    assert [s.id for s in await store.hold("cp_1", now_s=20.0, ttl_s=10.0)] == ["sub_1"]


async def test_writers_at_once_leave_no_hole_that_a_reader_passes(store: NotifyStore) -> None:
    """Whoever reads up to the head has read everything that will ever be before it."""
    seen: list[int] = []
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set() or len(seen) < 60:
            seen.extend(n.id for n in await store.since(seen[-1] if seen else 0, 500))
            await asyncio.sleep(0)

    async def write() -> None:
        for _ in range(10):
            await store.append([UP, DOWN])

    async with asyncio.timeout(60):
        reading = asyncio.create_task(read())
        await asyncio.gather(write(), write(), write())
        done.set()
        await reading
    assert len(seen) == 60
    assert seen == sorted(seen)
