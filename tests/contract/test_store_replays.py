"""Viewers of recordings are stored the same on SQLite and on PostgreSQL."""

import asyncio

from umbel.delivery.replays.model import ReplayLoad, ReplaySession
from umbel.delivery.replays.store import ReplayStore
from umbel.kit.db import Database

NOW_S = 1_803_000_000.0


def session(
    grant: str, node: str = "pe2", seen_s: float = NOW_S, capture: str = "cap_1"
) -> ReplaySession:
    return ReplaySession(
        grant_id=grant,
        access_node="pe2",
        capture_id=capture,
        function=f"edge-{node}-1",
        edge_node=node,
        mbps=2.5,
        seen_s=seen_s,
    )


def load(viewers: int, node: str = "pe2", capture: str = "cap_1") -> ReplayLoad:
    return ReplayLoad(
        capture_id=capture,
        function=f"edge-{node}-1",
        edge_node=node,
        viewers=viewers,
        mbps=2.5 * viewers,
    )


async def test_viewers_are_counted_by_capture_and_edge(database: Database) -> None:
    store = ReplayStore(database)
    assert await store.loads(0.0) == []
    for one in (session("a"), session("b"), session("c", capture="cap_2"), session("d", "pe4")):
        await store.put(one)
    assert await store.loads(NOW_S) == [load(2), load(1, capture="cap_2"), load(1, "pe4")]
    assert await store.get("a", "pe2") == session("a")
    assert await store.get("a", "pe4") is None
    await store.put(session("a", "pe4"))
    assert await store.get("a", "pe2") == session("a", "pe4"), "another edge takes the place of one"
    assert await store.loads(NOW_S) == [load(1), load(1, capture="cap_2"), load(2, "pe4")]


async def test_who_is_not_seen_has_left(database: Database) -> None:
    store = ReplayStore(database)
    for one in (session("a"), session("b")):
        await store.put(one)
    await store.seen("edge-pe2-1", ["a", "unknown"], NOW_S + 100)
    await store.seen("edge-pe4-1", ["b"], NOW_S + 100)
    await store.seen("edge-pe2-1", [], NOW_S + 100)
    assert await store.loads(NOW_S + 1) == [load(1)], "the other edge does not have that viewer"
    await store.sweep(NOW_S + 1)
    assert await store.loads(0.0) == [load(1)]
    assert await store.get("b", "pe2") is None


async def test_two_who_choose_at_once_leave_one_edge(database: Database) -> None:
    store = ReplayStore(database)
    nodes = ["pe1", "pe2", "pe3", "pe4"] * 4
    await asyncio.gather(*(store.put(session("a", node)) for node in nodes))
    (one,) = await store.loads(0.0)
    assert (one.viewers, one.edge_node in nodes) == (1, True)
