"""Shards on nodes of the platform: nodes are lost and come back, functions die, nodes change."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from support.storage_nodes import StorageNodes, stop_functions, storage_nodes
from support.waiting import until
from umbel.kit.leases import leases
from umbel.kit.sql import Query
from umbel.repository.model import ItemState, RepositoryFull, StorageFailed

pytestmark = pytest.mark.lab

NODES = ("pe1", "pe2", "pe3", "c1", "c2")
PARITY = 2
DATA = random.Random(7).randbytes(3_000_001)
OTHER = random.Random(8).randbytes(500_000)
LEASES: Query[dict[str, str]] = Query(sa.select(leases.c.name), dict)


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    yield tmp_path / "data"
    await stop_functions(tmp_path / "data")


@pytest.fixture
async def nodes(folder: Path) -> AsyncIterator[StorageNodes]:
    async with storage_nodes(folder, NODES, PARITY) as made:
        await made.until_answering()
        yield made


async def test_m_nodes_are_lost_reads_go_on_and_what_was_missed_is_repaired(
    nodes: StorageNodes,
) -> None:
    before = await nodes.put(DATA)
    assert nodes.shards(before) == set(NODES)
    await nodes.lose("pe2")
    later = await nodes.put(OTHER)
    assert nodes.shards(later) == set(NODES) - {"pe2"}
    await nodes.lose("c1")
    assert await nodes.get(before) == DATA
    assert await nodes.get(later) == OTHER
    with pytest.raises(StorageFailed):  # it could not bear one more loss
        await nodes.put(OTHER)
    await nodes.return_all()
    await nodes.until_shards_at(later, set(NODES))
    await nodes.lose("pe1", "pe3")
    assert await nodes.get(before) == DATA
    assert await nodes.get(later) == OTHER


async def test_more_than_m_lost_nodes_are_an_outage_and_no_loss(nodes: StorageNodes) -> None:
    item = await nodes.put(DATA)
    await nodes.lose("pe1", "pe2", "c2")
    with pytest.raises(StorageFailed):
        await nodes.get(item)
    await nodes.return_all()
    assert await nodes.get(item) == DATA


async def test_a_dead_function_comes_back_on_its_node_with_its_shard(nodes: StorageNodes) -> None:
    item = await nodes.put(DATA)
    died = await nodes.kill("c1")

    async def pid() -> int:
        instance = await nodes.instance("c1")
        return nodes.pid(instance) if instance is not None else 0

    dead_pid = nodes.pid(died)
    await until(pid, lambda now: now not in (0, dead_pid))
    await nodes.until_answering()
    statuses = await nodes.system.storage_functions.list()
    assert [one.place.node for one in statuses] == list(NODES)
    assert [one.usage.shard for one in statuses if one.usage] == list(range(len(NODES)))
    used = [one.usage.used_bytes for one in statuses if one.usage]
    assert min(used) == max(used) > len(DATA) // 3
    assert not any(one.problem for one in statuses)
    assert nodes.shards(item) == set(NODES)


async def test_the_nodes_and_the_repository_have_a_lease_each(nodes: StorageNodes) -> None:
    async def names() -> set[str]:
        rows = await nodes.system.database.read(lambda c: c.all(LEASES))
        return {row["name"] for row in rows}

    await until(names, lambda found: {"storage", "repository"} <= found)


async def test_a_function_that_hangs_holds_up_no_read(nodes: StorageNodes) -> None:
    item = await nodes.put(DATA)
    stuck = [await nodes.instance(node) for node in ("pe1", "pe2")]
    pids = [nodes.pid(one) for one in stuck if one is not None]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(60):
            assert await nodes.get(item) == DATA
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def test_another_node_takes_the_place_of_a_lost_one(folder: Path) -> None:
    async with storage_nodes(folder, NODES, PARITY) as nodes:
        await nodes.until_answering()
        item = await nodes.put(DATA)
        parts = nodes.parts
    changed = ("pe1", "pe5", *NODES[2:])
    async with storage_nodes(folder, changed, PARITY) as nodes:
        nodes.parts = parts
        await nodes.until_shards_at(item, set(changed))
        await nodes.until_gone("pe2")
        await nodes.until_answering()
        await nodes.lose("pe1", "pe3")
        assert await nodes.get(item) == DATA


async def test_nodes_in_another_order_lose_nothing(folder: Path) -> None:
    async with storage_nodes(folder, NODES, PARITY) as nodes:
        await nodes.until_answering()
        item = await nodes.put(DATA)
        parts = nodes.parts
    async with storage_nodes(folder, tuple(reversed(NODES)), PARITY) as nodes:
        await nodes.until_answering()
        problems = [one.problem for one in await nodes.system.storage_functions.list()]
        assert [problem != "" for problem in problems] == [True, True, False, True, True]
        assert "It holds shard 4" in problems[0]
        with pytest.raises(StorageFailed, match="holds shard"):
            await nodes.get(item)
        with pytest.raises(StorageFailed, match="holds shard"):
            await nodes.system.repository.upkeep.sweep()
        assert (await nodes.system.repository.get(item)).state is ItemState.STORED
    async with storage_nodes(folder, NODES, PARITY) as nodes:
        await nodes.until_answering()
        nodes.parts = parts
        assert await nodes.get(item) == DATA
        assert nodes.shards(item) == set(NODES)


async def test_a_full_node_refuses_and_the_others_go_on(nodes: StorageNodes) -> None:
    functions = nodes.system.storage_functions
    await functions.storages["pe1"].set_limit(1000)
    item = await nodes.put(DATA)
    assert nodes.shards(item) == set(NODES) - {"pe1"}
    for node in ("pe2", "pe3"):
        await functions.storages[node].set_limit(1000)
    with pytest.raises(RepositoryFull):
        await nodes.put(DATA)
    assert await nodes.get(item) == DATA
