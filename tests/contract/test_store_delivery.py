"""Trees and sessions as rows, on SQLite and on PostgreSQL."""

import asyncio
from dataclasses import replace

import pytest

from support.rows import Rows
from support.views import X, edge, planted
from umbel.delivery.model import Ingest, Session, Tree
from umbel.delivery.sessions.counts import by_function
from umbel.delivery.store import DeliveryStore, NoSuchSession
from umbel.kit.db import Database, VersionMismatch
from umbel.kit.journal import Journal

NOW_S = 1_000.0
FRESH = replace(planted(), version=0)


@pytest.fixture
def store(database: Database) -> DeliveryStore:
    return DeliveryStore(database)


def session(number: int, function: str = "edge-pe2-1", *, seen_s: float = NOW_S) -> Session:
    return Session(
        id=f"se_{number}",
        stream=X,
        access_node="pe2",
        function=function,
        edge_node="pe2",
        opened_s=NOW_S,
        seen_s=seen_s,
        expires_s=NOW_S + 60,
    )


async def test_an_unknown_event_has_an_empty_tree_of_version_0(store: DeliveryStore) -> None:
    assert await store.tree(X) == Tree(stream=X)
    assert (await store.tree(X)).version == 0


async def test_a_tree_is_kept_as_it_was_and_its_version_grows(store: DeliveryStore) -> None:
    tree = replace(FRESH, branches=(*FRESH.branches, replace(edge("pe2"), idle_since_s=7.5)))
    saved = await store.save_tree(tree, at_s=NOW_S)
    assert await store.tree(X) == tree
    assert (saved.version, (await store.save_tree(saved, at_s=NOW_S)).version) == (1, 2)


async def test_who_read_an_old_tree_cannot_write(store: DeliveryStore) -> None:
    saved = await store.save_tree(FRESH, at_s=NOW_S)
    await store.save_tree(replace(saved, branches=()), at_s=NOW_S)
    with pytest.raises(VersionMismatch):
        await store.save_tree(saved, at_s=NOW_S)
    assert (await store.tree(X)).branches == ()


async def test_of_many_who_plant_one_wins(store: DeliveryStore) -> None:
    tries = (store.save_tree(FRESH, at_s=NOW_S) for _ in range(8))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, Tree) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, VersionMismatch) for outcome in outcomes) == 7


async def test_a_session_and_the_tree_it_needs_are_written_together(store: DeliveryStore) -> None:
    saved = await store.save_tree(FRESH, at_s=NOW_S)
    grown = replace(saved, branches=(*saved.branches, edge("pe2")))
    await store.open_session(session(1), grown)
    assert await store.session("se_1") == session(1)
    with pytest.raises(VersionMismatch):
        await store.open_session(session(2), grown)
    with pytest.raises(NoSuchSession):
        await store.session("se_2")
    assert by_function(await store.counts()) == {(X, "edge-pe2-1"): 1}


async def test_closing_twice_is_closing_once(store: DeliveryStore, database: Database) -> None:
    await store.open_session(session(1), None)
    for _ in range(2):
        await store.close_session(session(1), at_s=NOW_S)
    told = [c.body["what"] for c in await Journal(database).since(0) if c.kind == "session"]
    assert told == ["opened", "closed"]
    assert await store.counts() == []


async def test_the_journal_says_where_a_session_was_and_why_it_ended(
    store: DeliveryStore, database: Database
) -> None:
    late = replace(session(1), opened_s=NOW_S + 5)
    for one in (late, session(2)):
        await store.open_session(one, None)
    assert await store.sessions() == [session(2), late]
    await store.close_session(late, at_s=NOW_S + 6, why="refused")
    assert await store.sessions() == [session(2)]
    changes = [c for c in await Journal(database).since(0) if c.kind == "session"]
    assert [(c.subject, c.body["what"]) for c in changes] == [
        ("se_1", "opened"),
        ("se_2", "opened"),
        ("se_1", "refused"),
    ]
    where = {"access_node": "pe2", "edge": "pe2", "function": "edge-pe2-1", "stream": X}
    assert all(where.items() <= c.body.items() for c in changes)


async def test_a_sweep_keeps_who_was_seen_and_ends_who_was_not(store: DeliveryStore) -> None:
    for number in range(1200):
        await store.open_session(session(number), None)
    seen = {f"se_{number}" for number in range(1100)}
    ended = await store.sweep(X, seen, now_s=NOW_S + 100, idle_s=60)
    assert {s.id for s in ended} == {f"se_{number}" for number in range(1100, 1200)}
    assert (await store.session("se_0")).seen_s == NOW_S + 100
    assert await store.sweep(X, (), now_s=NOW_S + 110, idle_s=60) == []


async def test_a_sweep_ends_nobody_at_a_function_of_which_nothing_is_known(
    store: DeliveryStore,
) -> None:
    await store.open_session(session(1), None)
    await store.open_session(session(2, "edge-pe4-1"), None)
    late_s = NOW_S + 100
    ended = await store.sweep(X, (), now_s=late_s, idle_s=60, unknown={"edge-pe4-1"})
    assert [s.id for s in ended] == ["se_1"]
    assert (await store.session("se_2")).seen_s == late_s


async def test_a_session_is_refused_where_others_took_the_room(store: DeliveryStore) -> None:
    await store.open_session(session(1), None, known=0)
    with pytest.raises(VersionMismatch):
        await store.open_session(session(2), None, known=0)
    await store.open_session(session(2), None, known=1)
    assert len(await store.sessions()) == 2


async def test_the_end_of_an_event_drops_its_tree_and_sessions(store: DeliveryStore) -> None:
    await store.save_tree(FRESH, at_s=NOW_S)
    await store.open_session(session(1), None)
    await store.drop_tree(X, at_s=NOW_S)
    await store.drop_tree(X, at_s=NOW_S)
    assert await store.trees() == {}
    assert await store.counts() == []


async def test_what_a_restarted_acquirer_must_know(store: DeliveryStore) -> None:
    assert await store.ingest(X) == Ingest()
    await store.save_tree(FRESH, at_s=NOW_S)
    await store.save_rtp_offer(X, "v=0")
    await store.save_ingest_ports(X, (4001, 4002, 4003))
    await store.save_ingest_sources(X, ("192.0.2.0/24",))
    kept = Ingest(rtp_offer="v=0", ports=(4001, 4002, 4003), sources=("192.0.2.0/24",))
    assert await store.ingest(X) == kept
    await store.save_tree(replace(FRESH, version=1), at_s=NOW_S)
    assert await store.ingest(X) == kept


async def test_the_audience_is_counted_by_where_it_enters(store: DeliveryStore) -> None:
    await store.open_session(session(1), None)
    await store.open_session(replace(session(2), opened_s=NOW_S + 10), None)
    await store.open_session(replace(session(3), access_node="pe5"), None)
    assert await store.audience() == [(X, "pe2", 2, NOW_S + 5), (X, "pe5", 1, NOW_S)]


async def test_what_ends_before_its_token_expires_is_revoked(store: DeliveryStore) -> None:
    await store.save_tree(FRESH, at_s=NOW_S)
    late = replace(session(4), expires_s=NOW_S + 20)
    for one in (session(1), session(2, seen_s=NOW_S - 50), session(3), late):
        await store.open_session(one, None)
    await store.close_session(session(1), at_s=NOW_S)
    await store.close_session(late, at_s=NOW_S + 20)
    ended = await store.sweep(X, {"se_3"}, now_s=NOW_S + 1, idle_s=30)
    assert [one.id for one in ended] == ["se_2"]
    both = [("se_1", NOW_S + 60), ("se_2", NOW_S + 60)]
    assert (await store.stream(X, 0)).revoked == both
    assert (await store.stream(X, NOW_S + 1)).revoked == both[1:]
    assert (await store.stream("ev_other", 0)).revoked == []
    await store.drop_tree(X, at_s=NOW_S + 2, why="evicted")
    assert [id_ for id_, _ in (await store.stream(X, 0)).revoked] == ["se_1", "se_2", "se_3"]
    await store.sweep(X, set(), now_s=NOW_S + 60, idle_s=30)
    assert (await store.stream(X, 0)).revoked == []


async def test_an_evicted_session_is_revoked_and_a_stream_that_is_over_needs_no_list(
    store: DeliveryStore,
) -> None:
    await store.open_session(session(1), None)
    await store.close_sessions_at("pe2", at_s=NOW_S)
    assert [id_ for id_, _ in (await store.stream(X, 0)).revoked] == ["se_1"]
    await store.drop_tree(X, at_s=NOW_S)
    assert (await store.stream(X, 0)).revoked == []


# -- all trees, which only change by the journal -------------------------------------------------


def tree_of(number: int) -> Tree:
    return replace(FRESH, stream=f"ev_{number}")


@pytest.mark.parametrize("count", [1, 10, 50])
async def test_all_trees_cost_a_row_while_none_changes(
    store: DeliveryStore, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    saved = [await store.save_tree(tree_of(n), at_s=NOW_S) for n in range(count)]
    rows = Rows(monkeypatch)
    assert len(await store.trees()) == count
    rows.reset()
    for _ in range(count):
        assert len(await store.trees()) == count
    assert (rows.read, rows.questions) == (count, count)
    await store.save_tree(replace(saved[0], branches=()), at_s=NOW_S)
    rows.reset()
    assert (await store.trees())["ev_0"].branches == ()
    assert rows.read <= 4  # the newest entry, the oldest one, the tree's name, and the tree


async def test_two_instances_see_each_others_trees(
    store: DeliveryStore, database: Database
) -> None:
    other = DeliveryStore(database)
    assert await other.trees() == {}
    first = await store.save_tree(tree_of(1), at_s=NOW_S)
    assert await other.trees() == {"ev_1": first}
    theirs = (await other.trees())["ev_1"]
    assert theirs.version == first.version
    changed = await other.save_tree(replace(theirs, branches=()), at_s=NOW_S)
    seen = (await store.trees())["ev_1"]
    assert (seen, seen.version) == (changed, changed.version)
    await store.drop_tree("ev_1", at_s=NOW_S)
    assert await other.trees() == {}


async def test_trees_are_read_again_when_the_journal_was_trimmed(
    store: DeliveryStore, database: Database
) -> None:
    other, journal = DeliveryStore(database), Journal(database, keep=1)
    saved = await store.save_tree(tree_of(1), at_s=NOW_S)
    await store.save_tree(tree_of(2), at_s=NOW_S)
    assert set(await other.trees()) == {"ev_1", "ev_2"}
    await store.save_tree(replace(saved, branches=()), at_s=NOW_S)
    await store.drop_tree("ev_2", at_s=NOW_S)
    await store.note("drain", "pe1", {}, NOW_S)
    await journal.trim()
    assert {stream: tree.branches for stream, tree in (await other.trees()).items()} == {"ev_1": ()}


async def test_readers_at_the_same_time_miss_nothing(database: Database) -> None:
    writer, reader = DeliveryStore(database), DeliveryStore(database)

    async def write(number: int) -> None:
        tree = tree_of(number)
        for _ in range(5):
            tree = await writer.save_tree(tree, at_s=NOW_S)

    async def read() -> None:
        versions: dict[str, int] = {}
        for _ in range(20):
            began = {n: (await writer.tree(f"ev_{n}")).version for n in range(3)}
            found = await reader.trees()
            versions = {stream: tree.version for stream, tree in found.items()}
            assert all(versions.get(f"ev_{n}", 0) >= least for n, least in began.items())

    await asyncio.gather(*(write(n) for n in range(3)), *(read() for _ in range(4)))
    assert {s: t.version for s, t in (await reader.trees()).items()} == {
        f"ev_{n}": 5 for n in range(3)
    }
