"""Changed nodes as rows, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
import sqlalchemy as sa

from umbel.compute.model import Node, NodeKind, PowerDraw, Scheduling
from umbel.delivery.model import Branch, Tree
from umbel.delivery.nodes.model import NodeAction, NodeChange
from umbel.delivery.nodes.store import NodeStore
from umbel.delivery.store import DeliveryStore, functions_at
from umbel.kit.db import Database, VersionMismatch
from umbel.kit.journal import Journal
from umbel.kit.sql import Command, Connection
from umbel.network.documents import AddedSite, LinkEnd, Site
from umbel.network.model import Link

NOW_S = 1_000.0
ADDED = NodeChange(
    name="pe9",
    node=Node(
        name="pe9",
        kind=NodeKind.CORE,
        address="127.0.9.1",
        cores=0.5,
        memory_mb=512.0,
        mbps=100.0,
        prefixes=("127.0.9.0/24", "2001:db8::/64"),
        pool="clouds",
        ports=(20000, 20999),
        watts=PowerDraw(idle=6.0, busy=15.5, standby=0.5),
    ),
    links=(Link(a="pe9", b="c1", mbps=50.0, delay_ms=2.5), Link(a="c2", b="pe9", crosses=True)),
    site=AddedSite(
        site=Site(
            node="pe9",
            ovsdb="tcp:10.99.9.1:6640",
            datapath_id=0xFFFFFFFFFFFFFFFF,
            underlay={},
            gateway="10.202.9.1/24",
            nic="eth1",
            hosts=("host1", "host2"),
        ),
        local={"c1": LinkEnd(underlay="10.201.9.1", cable="to-c1", queue="wire1")},
        remote={"c1": LinkEnd(underlay="10.201.9.2", crossing="10.205.0.1:51820")},
    ),
    scheduling=Scheduling.DRAINING,
    evict_at_s=NOW_S + 0.25,
    added_s=NOW_S,
)
CORDONED = NodeChange(name="pe1", scheduling=Scheduling.CORDONED)
GONE = NodeChange(name="pe2", removed=True)
TREE = Tree(
    stream="ev_1", branches=(Branch(function="acquirer-pe2-1", role="acquirer", node="pe2"),)
)


_FORGET = Command(sa.text("DELETE FROM nodes"))


@pytest.fixture
def store(database: Database) -> NodeStore:
    return NodeStore(database)


async def put(store: NodeStore, change: NodeChange) -> None:
    await store.change(lambda _: change, NodeAction.ADDED, by="ann", at_s=NOW_S)


async def test_changes_are_kept_as_they_were(store: NodeStore) -> None:
    assert await store.all() == {}
    for change in (ADDED, CORDONED, GONE):
        await put(store, change)
    assert await store.all() == {"pe9": ADDED, "pe1": CORDONED, "pe2": GONE}
    await put(store, replace(ADDED, scheduling=Scheduling.OPEN, evict_at_s=None))
    kept = (await store.all())["pe9"]
    assert (kept.scheduling, kept.evict_at_s, kept.node) == (Scheduling.OPEN, None, ADDED.node)


async def test_the_journal_names_what_was_done_and_who_did_it(
    store: NodeStore, database: Database
) -> None:
    await store.change(lambda _: GONE, NodeAction.REMOVED, by="ann", at_s=NOW_S)
    (change,) = await Journal(database).since(0)
    assert (change.kind, change.subject, change.at_s) == ("node", "pe2", NOW_S)
    assert change.body == {"what": "removed", "by": "ann"}


async def test_what_is_refused_changes_nothing(store: NodeStore, database: Database) -> None:
    await DeliveryStore(database).save_tree(TREE, at_s=NOW_S)

    def check(connection: Connection) -> None:
        if users := functions_at(connection, "pe2"):
            raise RuntimeError(users[0])

    def refuse(had: Mapping[str, NodeChange]) -> NodeChange:
        raise RuntimeError(f"{len(had)} changes")

    head = await Journal(database).head()
    with pytest.raises(RuntimeError, match="acquirer-pe2-1"):
        await store.change(lambda _: GONE, NodeAction.REMOVED, by="ann", at_s=NOW_S, check=check)
    with pytest.raises(RuntimeError, match="0 changes"):
        await store.change(refuse, NodeAction.REMOVED, by="ann", at_s=NOW_S)
    assert await store.all() == {}
    assert await Journal(database).head() == head


async def test_no_tree_is_stored_on_a_removed_node(store: NodeStore, database: Database) -> None:
    await put(store, GONE)
    trees = DeliveryStore(database)
    with pytest.raises(VersionMismatch, match="pe2, which was removed"):
        await trees.save_tree(TREE, at_s=NOW_S)
    assert await trees.trees() == {}
    await put(store, replace(GONE, removed=False))
    await trees.save_tree(TREE, at_s=NOW_S)


async def test_a_removal_and_a_tree_on_the_node_do_not_both_succeed(
    store: NodeStore, database: Database
) -> None:
    trees = DeliveryStore(database)

    def check(connection: Connection) -> None:
        if functions_at(connection, "pe2"):
            raise VersionMismatch

    async def remove() -> None:
        await store.change(lambda _: GONE, NodeAction.REMOVED, by="", at_s=NOW_S, check=check)

    for _ in range(20):
        done = await asyncio.gather(
            trees.save_tree(TREE, at_s=NOW_S), remove(), return_exceptions=True
        )
        refused = [one for one in done if isinstance(one, BaseException)]
        assert [type(one) for one in refused] == [VersionMismatch], done
        assert ("pe2" in await store.all()) != ("ev_1" in await trees.trees())
        await trees.drop_tree("ev_1", at_s=NOW_S)
        await database.write(lambda c: c.run(_FORGET))


async def test_changes_at_the_same_time_take_turns(store: NodeStore) -> None:
    def another(number: int) -> NodeChange:
        return NodeChange(name=f"n{number}", scheduling=Scheduling.CORDONED)

    seen: list[int] = []

    def decide(had: Mapping[str, NodeChange]) -> NodeChange:
        seen.append(len(had))
        return another(len(had))

    await asyncio.gather(
        *(store.change(decide, NodeAction.CORDONED, by="", at_s=NOW_S) for _ in range(8))
    )
    assert sorted(await store.all()) == [f"n{number}" for number in range(8)]
