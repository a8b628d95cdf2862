"""Blobs in k + m shards: what m losses do, who is waited for, and repairs."""

import asyncio
import itertools
import random
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from support import databases
from support.clocks import SetClock
from support.storage_worlds import chunks
from support.stored import repository
from umbel.kit.db import Database
from umbel.repository.drivers.fake import FakeStorage
from umbel.repository.drivers.shards import ShardStorage
from umbel.repository.drivers.shards.asking import MOST_UNFINISHED
from umbel.repository.model import BlobMissing, RepositoryFull, StorageFailed
from umbel.repository.service import Source
from umbel.repository.threads import in_thread

K, M = 4, 2
STRIPE = K * 64 * 1024
DATA = random.Random(3).randbytes(5 * STRIPE + 12_345)
SHORT_S = 0.2


@pytest.fixture
def nodes() -> list[FakeStorage]:
    return [FakeStorage(clock=SetClock()) for _ in range(K + M)]


@pytest.fixture
def storage(nodes: list[FakeStorage]) -> ShardStorage:
    return ShardStorage(nodes, M, stall_s=SHORT_S)


async def read(storage: ShardStorage, start: int = 0, end: int = len(DATA)) -> bytes:
    async with aclosing(storage.read("blob_a", start, end)) as pieces:
        return b"".join([piece async for piece in pieces])


async def written(storage: ShardStorage) -> None:
    assert await storage.write("blob_a", chunks(DATA)) == len(DATA)


def fresh(nodes: list[FakeStorage]) -> ShardStorage:
    """As another instance sees them."""
    return ShardStorage(nodes, M, stall_s=SHORT_S)


async def test_any_m_may_be_lost(storage: ShardStorage, nodes: list[FakeStorage]) -> None:
    await written(storage)
    for lost in itertools.combinations(range(K + M), M):
        for number in lost:
            nodes[number].is_failing = True
        assert await read(fresh(nodes)) == DATA
        assert await read(fresh(nodes), 70_000, 70_003) == DATA[70_000:70_003]
        for number in lost:
            nodes[number].is_failing = False
    for number in range(M + 1):
        nodes[number].is_failing = True
    with pytest.raises(StorageFailed, match="shard 0"):
        await read(storage)


async def test_each_shard_takes_its_part_only(
    storage: ShardStorage, nodes: list[FakeStorage]
) -> None:
    await written(storage)
    assert max(node.used for node in nodes) < len(DATA) / K + 1000
    before = sum(node.read_bytes for node in nodes)
    await read(storage, STRIPE, STRIPE + 5)
    taken = sum(node.read_bytes for node in nodes) - before
    assert taken <= (K + M) * (64 * 1024 + 4), "one stripe is read for a short range"


async def test_the_first_k_answers_are_enough(
    storage: ShardStorage, nodes: list[FakeStorage]
) -> None:
    await written(storage)
    answers = asyncio.Event()
    for number in (0, 3):
        nodes[number].answers = answers
    for one in (storage, fresh(nodes)):
        async with asyncio.timeout(20):
            assert await read(one) == DATA
    answers.set()
    await storage.close()


async def test_a_node_that_hangs_is_not_asked_for_ever(
    storage: ShardStorage, nodes: list[FakeStorage]
) -> None:
    await written(storage)
    counts = {"asked": 0, "open": 0}
    held = asyncio.Event()

    class Hangs(FakeStorage):
        async def size(self, blob: str) -> int:
            counts["asked"] += 1
            try:
                await held.wait()
            except asyncio.CancelledError:
                await held.wait()  # as a thread that is stuck in the kernel
                raise
            return 0

    slow = Hangs(clock=SetClock())
    for _ in range(MOST_UNFINISHED + 5):
        one = ShardStorage([slow, *nodes[1:]], M, stall_s=SHORT_S)
        one._asking = storage._asking
        assert await read(one, 0, 10) == DATA[:10]
    assert counts["asked"] == MOST_UNFINISHED
    held.set()
    await storage.close()


async def test_a_write_bears_the_loss_of_all_but_one_of_m(
    storage: ShardStorage, nodes: list[FakeStorage]
) -> None:
    nodes[1].is_failing = True
    await written(storage)
    assert [node.used > 0 for node in nodes] == [True, False, True, True, True, True]
    nodes[1].is_failing = False
    nodes[5].is_failing = True
    assert await read(fresh(nodes)) == DATA


async def test_what_one_more_loss_would_end_is_not_written(
    storage: ShardStorage, nodes: list[FakeStorage]
) -> None:
    for number in (1, 2):
        nodes[number].is_failing = True
    with pytest.raises(StorageFailed, match=r"shard 1.*shard 2"):
        await storage.write("blob_a", chunks(DATA))
    for number in (1, 2):
        nodes[number].is_failing = False
        nodes[number].capacity = 10
    with pytest.raises(RepositoryFull):
        await storage.write("blob_a", chunks(DATA))
    assert [node.used for node in nodes] == [0] * (K + M)


async def test_a_node_that_hangs_does_not_hold_up_a_write(
    nodes: list[FakeStorage],
) -> None:
    given_up_after: list[int] = []

    class Hangs(FakeStorage):
        async def write(self, blob: str, pieces: AsyncIterator[bytes]) -> int:
            try:
                await asyncio.Event().wait()
            finally:
                given_up_after.append(nodes[3].written)
            return 0

    storage = ShardStorage([*nodes[:2], Hangs(clock=SetClock()), *nodes[3:]], M, stall_s=SHORT_S)
    async with asyncio.timeout(60):
        await written(storage)
    assert await read(storage) == DATA
    assert given_up_after[0] < nodes[3].written, "the others were not held up to the end"


async def test_a_disk_that_hangs_in_the_kernel_does_not_hold_up_an_answer(
    nodes: list[FakeStorage],
) -> None:
    released = threading.Event()

    class Blocked(FakeStorage):
        async def write(self, blob: str, pieces: AsyncIterator[bytes]) -> int:
            await in_thread(released.wait, 300.0)  # a thread cannot be cancelled
            return 0

    storage = ShardStorage([*nodes[:2], Blocked(clock=SetClock()), *nodes[3:]], M, stall_s=SHORT_S)
    try:
        async with asyncio.timeout(60):
            await written(storage)
        assert not released.is_set()
        assert await read(storage) == DATA
    finally:
        released.set()


async def test_lost_and_damaged_shards_are_repaired(
    storage: ShardStorage, nodes: list[FakeStorage]
) -> None:
    await written(storage)
    before = [dict(node._blobs) for node in nodes]
    for a, b in itertools.combinations(range(K + M), M):
        nodes[a].lose("blob_a")
        nodes[b].damage("blob_a", 3 * 64 * 1024)
        assert await read(storage) == DATA
        assert await storage.repair("blob_a") == M
        assert [node._blobs for node in nodes] == before
    assert await storage.repair("blob_a") == 0
    assert await read(fresh(nodes)) == DATA


async def test_of_too_little_nothing_is_made_again(
    storage: ShardStorage, nodes: list[FakeStorage]
) -> None:
    await written(storage)
    for number in range(M + 1):
        nodes[number].lose("blob_a")
    for one in (storage, fresh(nodes)):
        for call in (one.repair("blob_a"), one.size("blob_a"), read(one)):
            with pytest.raises(BlobMissing):
                await call
    nodes[5].is_failing = True
    with pytest.raises(StorageFailed):
        await storage.repair("blob_a")


@pytest.mark.parametrize("how", ["read", "size"])
async def test_what_is_found_missing_is_named_once(
    storage: ShardStorage, nodes: list[FakeStorage], how: str
) -> None:
    await written(storage)
    await storage.size("blob_a")
    assert storage.suspects() == []
    nodes[0].lose("blob_a")
    if how == "read":
        nodes[1].answers = nodes[2].answers = asyncio.Event()
        nodes[1].answers.set()
        with_all = [await read(storage, 0, 10) for _ in range(3)]
        assert with_all == [DATA[:10]] * 3
    else:
        assert await storage.size("blob_a") == len(DATA)
    assert storage.suspects() == ["blob_a"]
    assert storage.suspects() == []


async def test_many_are_looked_for_at_once(storage: ShardStorage, nodes: list[FakeStorage]) -> None:
    sizes = {"blob_a": len(DATA), "blob_b": 0, "blob_c": 70_001, "blob_d": 9, "blob_none": 5}
    for blob, size in sizes.items():
        if blob != "blob_none":
            await storage.write(blob, chunks(DATA[:size]))
    assert await storage.lost(sizes) == {"blob_none"}
    assert storage.suspects() == []
    for number in range(M + 1):
        nodes[number].lose("blob_c")
    nodes[4].lose("blob_d")
    await nodes[5].remove("blob_a")
    await nodes[5].write("blob_a", chunks(b"another size"))
    assert await storage.lost(sizes) == {"blob_c", "blob_none"}
    assert set(storage.suspects()) >= {"blob_a", "blob_d"}
    assert await storage.lost({"blob_b": 1}) == {"blob_b"}
    for node in nodes[: M + 1]:
        node.is_failing = True
    assert await storage.lost({"blob_a": len(DATA)}) == set(), "unknown is not lost"
    for node in nodes:
        node.is_failing = True
    with pytest.raises(StorageFailed):
        await storage.lost(sizes)


async def test_shards_of_other_numbers_are_not_lost(
    storage: ShardStorage, nodes: list[FakeStorage]
) -> None:
    await written(storage)
    with pytest.raises(StorageFailed, match=r"4\+2 shards, and the settings say 3\+3"):
        await ShardStorage(nodes, 3).lost({"blob_a": len(DATA)})


async def test_removing_bears_the_loss_of_m_and_a_sweep_finds_the_rest(
    storage: ShardStorage, nodes: list[FakeStorage]
) -> None:
    await written(storage)
    nodes[0].is_failing = nodes[1].is_failing = True
    await storage.remove("blob_a")
    nodes[2].is_failing = True
    with pytest.raises(StorageFailed):
        await storage.remove("blob_a")
    for number in range(3):
        nodes[number].is_failing = False
    async with aclosing(storage.list()) as kept:
        assert [one.blob async for one in kept] == ["blob_a"]
    with pytest.raises(BlobMissing):
        await storage.size("blob_a")
    await storage.remove("blob_a")
    assert [node.used for node in nodes] == [0] * (K + M)


async def test_upkeep_repairs_what_a_sweep_finds(
    storage: ShardStorage, nodes: list[FakeStorage], sqlite_url: str
) -> None:
    database = Database(sqlite_url, durable=False)
    try:
        await databases.prepare(database)
        repo = repository(database, storage, SetClock(4e9))
        item = await repo.create("pr_city", {})
        await repo.write(item.id, Source(chunks=chunks(DATA)))
        (part,) = (await repo.content(item.id)).parts
        for number in (1, 4):
            nodes[number].lose(part.blob)
        assert await repo.upkeep.sweep() == (0, 0)
        assert await repo.upkeep.repair() == 2
        for number in (0, 2):  # others than those that were made again
            nodes[number].lose(part.blob)
        async with aclosing(repo.read(await repo.content(item.id))) as pieces:
            assert b"".join([piece async for piece in pieces]) == DATA
    finally:
        await database.close()


async def test_other_numbers_of_shards_are_refused(
    storage: ShardStorage, nodes: list[FakeStorage]
) -> None:
    await written(storage)
    other = ShardStorage(nodes, 3)
    with pytest.raises(StorageFailed, match=r"4\+2 shards, and the settings say 3\+3"):
        async with aclosing(other.read("blob_a", 0, 1)) as pieces:
            await anext(pieces)
