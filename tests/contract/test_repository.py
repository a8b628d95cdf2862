"""What every storage of the repository does, by the same words for all of them, and what the
repository makes of it."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from support import databases
from support.clocks import SetClock
from support.s3_servers import S3_KINDS
from support.storage_worlds import (
    FakeWorld,
    S3World,
    StorageWorld,
    chunks,
    files_world,
    remote_shards_world,
    remote_world,
    shards_world,
)
from support.stored import repository
from umbel.kit.db import Database
from umbel.repository.model import BlobMissing, ItemDamaged, ItemState
from umbel.repository.ports import PIECE_BYTES, ListsSizes, Storage
from umbel.repository.service import Repository, Source
from umbel.repository.upkeep.service import STALE_S

MIB = 2**20
LONG = random.Random(1).randbytes(3 * PIECE_BYTES + 5)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(4e9)  # later than any file's time


@pytest.fixture(params=["fake", "files", "remote", "shards", "remote-shards", *S3_KINDS])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock
) -> AsyncIterator[StorageWorld]:
    if request.param == "fake":
        yield FakeWorld(clock)
        return
    if request.param in {"nanio", "versitygw"}:
        server = request.getfixturevalue("s3_servers")(request.param)
        s3 = S3World(server, tmp_path.name)
        yield s3
        await s3.storage.close()
        return
    if request.param == "remote-shards":
        async with remote_shards_world(tmp_path) as at_nodes:
            yield at_nodes
        return
    if request.param == "remote":
        async with remote_world(tmp_path) as over_http:
            yield over_http
        return
    with shards_world(tmp_path) if request.param == "shards" else files_world(tmp_path) as made:
        yield made
        await made.storage.close()


@pytest.fixture
def storage(world: StorageWorld) -> Storage:
    return world.storage


@pytest.fixture
async def repo(world: StorageWorld, sqlite_url: str, clock: SetClock) -> AsyncIterator[Repository]:
    database = Database(sqlite_url, durable=False)
    try:
        await databases.prepare(database)
        yield repository(database, world.storage, clock)
    finally:
        await database.close()


async def read(storage: Storage, blob: str, start: int = 0, end: int = 1 << 40) -> bytes:
    async with aclosing(storage.read(blob, start, end)) as pieces:
        return b"".join([piece async for piece in pieces])


async def kept(storage: Storage) -> dict[str, int]:
    """All that is kept and how long it is, -1 where it is not whole."""
    async with aclosing(storage.list()) as found:
        seen = [one async for one in found]
    assert len({one.blob for one in seen}) == len(seen)
    return {one.blob: await storage.size(one.blob) if one.is_whole else -1 for one in seen}


async def written(storage: Storage, blob: str, data: bytes = LONG) -> None:
    assert await storage.write(blob, chunks(data)) == len(data)


# -- the storage ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, len(LONG)])
async def test_what_was_written_is_read(storage: Storage, size: int) -> None:
    await written(storage, "blob_a", LONG[:size])
    assert await storage.size("blob_a") == size
    assert await read(storage, "blob_a") == LONG[:size]
    assert await kept(storage) == {"blob_a": size}


async def test_any_range_is_read(storage: Storage) -> None:
    await written(storage, "blob_a")
    draw = random.Random(2)
    edges = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, len(LONG) - 1, len(LONG)]
    edges += [draw.randrange(len(LONG)) for _ in range(8)]
    for start in edges:
        for end in edges:
            assert await read(storage, "blob_a", start, end) == LONG[start:end], (start, end)
    assert await read(storage, "blob_a", len(LONG), len(LONG) + 9) == b""
    assert await read(storage, "blob_a", len(LONG) - 3, len(LONG) + 9) == LONG[-3:]


async def test_pieces_are_small_and_a_reader_may_leave(storage: Storage) -> None:
    await written(storage, "blob_a")
    async with aclosing(storage.read("blob_a", 0, len(LONG))) as pieces:
        async for piece in pieces:
            assert 0 < len(piece) <= PIECE_BYTES
            break
    assert await read(storage, "blob_a") == LONG


async def test_what_is_not_there_is_missing_and_may_be_removed(storage: Storage) -> None:
    assert await kept(storage) == {}
    for blob in ("blob_a", "../blob_a", ".", "x" * 300):
        with pytest.raises(BlobMissing):
            await read(storage, blob)
        with pytest.raises(BlobMissing):
            await storage.size(blob)
    await storage.remove("blob_a")
    await written(storage, "blob_a", b"x")
    await written(storage, "blob_b", b"xy")
    for _ in range(2):
        await storage.remove("blob_a")
    assert await kept(storage) == {"blob_b": 2}


async def sizes(storage: Storage, blobs: list[str]) -> Mapping[str, int]:
    """Of those that are there, at once where the storage can."""
    if isinstance(storage, ListsSizes):
        return await storage.sizes(blobs)
    found = {}
    for blob in blobs:
        with suppress(BlobMissing):
            found[blob] = await storage.size(blob)
    return found


async def test_sizes_of_many_are_those_of_each(storage: Storage) -> None:
    for size in (0, 5, len(LONG)):
        await written(storage, f"blob_{size}", LONG[:size])
    asked = ["blob_5", "blob_none", f"blob_{len(LONG)}", "blob_0"]
    assert await sizes(storage, asked) == {"blob_0": 0, "blob_5": 5, f"blob_{len(LONG)}": len(LONG)}
    assert await sizes(storage, []) == {}


class Broken(Exception):
    """The client went away."""


async def test_of_a_write_that_fails_nothing_is_left(storage: Storage) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LONG
        raise Broken

    with pytest.raises(Broken):
        await storage.write("blob_a", broken())
    assert await kept(storage) == {}
    with pytest.raises(BlobMissing):
        await storage.size("blob_a")


async def test_of_a_write_that_is_cancelled_nothing_is_left(storage: Storage) -> None:
    has_begun, never = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield LONG
        has_begun.set()
        await never.wait()

    writing = asyncio.create_task(storage.write("blob_a", endless()))
    await has_begun.wait()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert writing.cancelled()
    assert await kept(storage) == {}


async def test_a_full_storage_says_so_loses_nothing_and_goes_on_by_itself(
    world: StorageWorld,
) -> None:
    storage = world.storage
    await written(storage, "blob_a")
    for _ in range(2):
        with world.full(), pytest.raises(world.is_full):
            await storage.write("blob_b", chunks(LONG))
        assert await read(storage, "blob_a") == LONG
        assert await kept(storage) == {"blob_a": len(LONG)}
    await written(storage, "blob_b")
    assert await read(storage, "blob_b") == LONG


async def test_many_write_and_read_at_once(storage: Storage) -> None:
    data = {f"blob_{number}": LONG[number * 7 : number * 70_000] for number in range(1, 9)}
    await asyncio.gather(*(written(storage, blob, some) for blob, some in data.items()))
    found = await asyncio.gather(*(read(storage, blob) for blob in data))
    assert found == list(data.values())


# -- the repository over it -----------------------------------------------------------------


async def item_with(repo: Repository, data: bytes = LONG) -> tuple[str, str]:
    """An item with these bytes, and the name of its blob."""
    item = await repo.create("pr_city", {})
    await repo.write(item.id, Source(chunks=chunks(data), size=len(data)))
    (part,) = (await repo.content(item.id)).parts
    return item.id, part.blob


async def bytes_of(repo: Repository, item_id: str, start: int = 0, end: int | None = None) -> bytes:
    content = await repo.content(item_id)
    async with aclosing(repo.read(content, start, end)) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_an_item_has_its_bytes_and_their_checksum(repo: Repository) -> None:
    item_id, blob = await item_with(repo)
    item = await repo.get(item_id)
    assert (item.state, item.size) == (ItemState.STORED, len(LONG))
    assert item.sha256 == hashlib.sha256(LONG).hexdigest()
    assert await bytes_of(repo, item_id) == LONG
    assert await bytes_of(repo, item_id, 5, PIECE_BYTES + 5) == LONG[5 : PIECE_BYTES + 5]
    assert await kept(repo.storage) == {blob: len(LONG)}
    await repo.delete(item_id)
    assert await kept(repo.storage) == {}


async def test_an_item_is_appended_in_pieces(repo: Repository) -> None:
    item_id, _ = await item_with(repo, LONG[:1000])
    for start, end in ((1000, 1001), (1001, PIECE_BYTES), (PIECE_BYTES, len(LONG))):
        source = Source(chunks=chunks(LONG[start:end]), size=end - start, offset=start)
        await repo.write(item_id, source)
    assert await bytes_of(repo, item_id) == LONG
    assert await bytes_of(repo, item_id, 998, 1003) == LONG[998:1003]
    assert (await repo.get(item_id)).sha256 == "", "only each part has one"


@pytest.mark.parametrize("at", [0, PIECE_BYTES, len(LONG) - 1])
async def test_bytes_that_went_bad_are_never_given_whole(
    repo: Repository, world: StorageWorld, at: int
) -> None:
    item_id, blob = await item_with(repo)
    world.damage(blob, at)
    got = b""
    with pytest.raises(ItemDamaged):
        async with aclosing(repo.read(await repo.content(item_id))) as pieces:
            async for piece in pieces:
                got += piece
    assert len(got) < len(LONG)
    assert (await repo.get(item_id)).state is ItemState.DAMAGED
    with pytest.raises(ItemDamaged, match="bytes"):
        await repo.content(item_id)
    await repo.write(item_id, Source(chunks=chunks(b"again")))
    assert await bytes_of(repo, item_id) == b"again"


async def test_scrub_finds_bytes_that_went_bad(
    repo: Repository, world: StorageWorld, clock: SetClock
) -> None:
    good, _ = await item_with(repo)
    bad, blob = await item_with(repo)
    world.damage(blob, 77)
    assert await repo.upkeep.scrub() is None
    clock.at_s += repo.upkeep.scrub_s + 1
    checked = {(await repo.upkeep.scrub()).item for _ in range(2)}
    assert (checked, await repo.upkeep.scrub()) == ({good, bad}, None)
    assert (await repo.get(good)).state is ItemState.STORED
    assert (await repo.get(bad)).state is ItemState.DAMAGED


async def test_sweep_finds_rows_without_bytes_and_bytes_without_rows(
    repo: Repository, world: StorageWorld, clock: SetClock
) -> None:
    good, _ = await item_with(repo)
    lost, blob = await item_with(repo)
    world.lose(blob)
    await written(world.storage, "blob_orphan", b"x")
    clock.at_s += STALE_S + 1
    assert await repo.upkeep.sweep() == (1, 1)
    assert await repo.upkeep.sweep() == (0, 0)
    assert (await repo.get(lost)).state is ItemState.DAMAGED
    assert await bytes_of(repo, good) == LONG
    assert list(await kept(world.storage)) == [(await repo.content(good)).parts[0].blob]
