"""The repository's rows on SQLite and PostgreSQL, over the storage in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from support.clocks import SetClock
from support.storage_worlds import chunks
from support.stored import repository
from umbel.kit.db import Database, VersionMismatch
from umbel.repository.drivers.fake import FakeStorage
from umbel.repository.model import (
    MOST_UPLOADS,
    BadMetadata,
    BadPattern,
    ItemEmpty,
    ItemState,
    NoSuchItem,
    RepositoryQuotaReached,
    StorageFailed,
    TooManyItems,
    TooManyUploads,
    UploadEnded,
    UploadIncomplete,
    UploadOffset,
    Usage,
)
from umbel.repository.service import Repository, Source
from umbel.repository.store import Quota
from umbel.repository.upkeep.service import STALE_S

QUOTA = Quota(items=4, bytes=10_000)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1000.0)


@pytest.fixture
def storage(clock: SetClock) -> FakeStorage:
    return FakeStorage(clock=clock)


@pytest.fixture
def repo(database: Database, storage: FakeStorage, clock: SetClock) -> Repository:
    return repository(database, storage, clock, QUOTA)


def source(data: bytes, size: int | None = None, offset: int | None = None) -> Source:
    return Source(chunks=chunks(data, 1000), size=size, offset=offset)


async def stored(repo: Repository, data: bytes = b"x", owner: str = "pr_city", **of: str) -> str:
    item = await repo.create(owner, of)
    await repo.write(item.id, source(data))
    return item.id


async def test_an_item_comes_changes_and_goes(repo: Repository, clock: SetClock) -> None:
    made = await repo.create("pr_city", {"title": "Council"}, expires_in_s=100)
    assert await repo.get(made.id) == made
    assert (made.state, made.expires_s) == (ItemState.EMPTY, 1100.0)
    with pytest.raises(ItemEmpty, match=made.id):
        await repo.content(made.id)
    clock.at_s += 5
    after = await repo.write(
        made.id, Source(chunks=chunks(b"film"), content_type="video/mp4", size=4)
    )
    assert (after.size, after.version, after.changed_s) == (4, 2, 1005.0)
    assert (after.content_type, after.metadata) == ("video/mp4", {"title": "Council"})
    assert await repo.get(made.id) == after
    named = await repo.set_metadata(made.id, {"a": "b"}, version=2)
    assert (named.metadata, named.version) == ({"a": "b"}, 3)
    with pytest.raises(VersionMismatch):
        await repo.set_metadata(made.id, {}, version=2)
    await repo.delete(made.id)
    for gone in (repo.get, repo.delete, repo.content):
        with pytest.raises(NoSuchItem, match=made.id):
            await gone(made.id)
    assert await repo.usage("pr_city") == Usage(items=0, bytes=0, quota_bytes=10_000)


async def test_new_bytes_replace_the_old_ones(repo: Repository, storage: FakeStorage) -> None:
    item_id = await stored(repo, b"x" * 5000)
    await repo.write(item_id, source(b"y" * 3000))
    assert storage.used == 3000
    assert (await repo.usage("pr_city")).bytes == 3000


@pytest.mark.parametrize(
    "wrong",
    [
        {"": "x"},
        {"x" * 129: "x"},
        {"x": "y" * 4097},
        {"x": "a\x00b"},
        {"x": "\ud800"},
        {str(n): "" for n in range(33)},
    ],
)
async def test_metadata_are_bounded(repo: Repository, wrong: dict[str, str]) -> None:
    with pytest.raises(BadMetadata):
        await repo.create("pr_city", wrong)
    item = await repo.create("pr_city", {"x" * 128: "\U0001f600" * 4096})
    with pytest.raises(BadMetadata):
        await repo.set_metadata(item.id, wrong)
    with pytest.raises(BadMetadata):
        await repo.find(wrong, owner=None)
    assert (await repo.get(item.id)).metadata == {"x" * 128: "\U0001f600" * 4096}


async def test_items_are_found_by_exact_metadata(repo: Repository, clock: SetClock) -> None:
    a = await repo.create("pr_city", {"kind": "film", "year": "2026"})
    b = await repo.create("pr_city", {"kind": "film", "year": "2025"}, expires_in_s=10)
    c = await repo.create("pr_club", {"kind": "film", "year": "2026"})
    both = sorted([a.id, b.id])
    assert await repo.find({"kind": "film"}, owner="pr_city") == both
    assert await repo.find({}, owner="pr_city") == both
    assert await repo.find({"kind": "film"}, owner=None) == sorted([*both, c.id])
    assert await repo.find({"kind": "film", "year": "2026"}, owner="pr_city") == [a.id]
    assert await repo.find({"kind": "Film"}, owner=None) == []
    assert await repo.find({"none": "film"}, owner=None) == []
    clock.at_s += 10
    assert await repo.find({"kind": "film"}, owner="pr_city") == [a.id]
    await repo.set_metadata(a.id, {"kind": "sound"})
    assert await repo.find({"kind": "film"}, owner="pr_city") == []
    assert await repo.find({"kind": "sound"}, owner="pr_city") == [a.id]


async def test_items_are_found_by_patterns(repo: Repository) -> None:
    a = await repo.create("pr_city", {"title": "Council 12", "room": "A"})
    b = await repo.create("pr_city", {"title": "Concert"})
    c = await repo.create("pr_club", {"title": "Council 3"})
    assert await repo.find_regex({"title": "^Co"}, owner="pr_city") == sorted([a.id, b.id])
    assert await repo.find_regex({"title": r"\d+$"}, owner=None) == sorted([a.id, c.id])
    assert await repo.find_regex({"title": "(?i)COUNCIL", "room": "."}, owner=None) == [a.id]
    for wrong in ("(", r"(a)\1", "(?=a)", "x" * 513, "a{1000}{1000}"):
        with pytest.raises(BadPattern):
            await repo.find_regex({"title": wrong}, owner=None)


async def test_an_owner_has_a_quota(repo: Repository, storage: FakeStorage) -> None:
    item_id = await stored(repo, b"x" * 9000)
    more = await repo.create("pr_city", {})
    for size in (None, 1001):
        with pytest.raises(RepositoryQuotaReached, match="pr_city"):
            await repo.write(more.id, Source(chunks=chunks(b"y" * 1001, 100), size=size))
    passed = storage.written
    with pytest.raises(RepositoryQuotaReached):
        await repo.write(more.id, Source(chunks=chunks(bytes(5_000_000))))
    assert storage.written == passed, "it ends where the quota is passed"
    await repo.write(more.id, source(b"y" * 1000))
    with pytest.raises(RepositoryQuotaReached, match="10000 bytes"):
        await repo.write(more.id, source(b"z"))
    assert await repo.usage("pr_city") == Usage(items=2, bytes=10_000, quota_bytes=10_000)
    await stored(repo, b"y" * 1001, "pr_club")
    await repo.delete(item_id)
    await repo.write(more.id, source(b"z" * 9000))
    assert storage.used == 9000 + 1001
    for _ in range(3):
        await repo.create("pr_city", {})
    with pytest.raises(TooManyItems, match="pr_city"):
        await repo.create("pr_city", {})


async def test_uploads_at_once_share_the_quota(repo: Repository, storage: FakeStorage) -> None:
    made = [await repo.create("pr_city", {}) for _ in range(4)]
    writes = (repo.write(one.id, source(b"x" * 4000)) for one in made)
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, Exception)]
    assert [type(one) for one in refused] == [RepositoryQuotaReached] * 2
    assert storage.used == 8000 == (await repo.usage("pr_city")).bytes


async def test_a_piece_follows_what_is_there(repo: Repository, storage: FakeStorage) -> None:
    item_id = await stored(repo, b"abc")
    for offset in (0, 2, 4):
        with pytest.raises(UploadOffset, match="3 bytes") as refused:
            await repo.write(item_id, source(b"d", offset=offset))
        assert refused.value.details["size"] == 3
    after = await repo.write(item_id, source(b"d", offset=3))
    assert (after.size, storage.used) == (4, 4)


@pytest.mark.parametrize("size", [0, 2, 4])
async def test_an_upload_has_the_size_that_was_declared(
    repo: Repository, storage: FakeStorage, size: int
) -> None:
    item_id = await stored(repo, b"abc")
    with pytest.raises(UploadIncomplete, match=f"3 of {size}"):
        await repo.write(item_id, source(b"def", size=size))
    assert storage.used == 3
    assert (await repo.get(item_id)).version == 2


async def held(has_begun: asyncio.Event, goes_on: asyncio.Event) -> AsyncIterator[bytes]:
    """An upload that waits in the middle."""
    yield b"x"
    has_begun.set()
    await goes_on.wait()
    yield b"y"


async def test_of_two_writers_one_wins(repo: Repository, storage: FakeStorage) -> None:
    item_id = await stored(repo)
    has_begun, goes_on = asyncio.Event(), asyncio.Event()
    late = asyncio.create_task(repo.write(item_id, Source(chunks=held(has_begun, goes_on))))
    await has_begun.wait()
    assert (await repo.write(item_id, source(b"a" * 50))).size == 50
    goes_on.set()
    with pytest.raises(VersionMismatch, match=item_id):
        await late
    assert storage.used == 50 == (await repo.usage("pr_city")).bytes


async def test_an_item_that_is_deleted_takes_no_more_bytes(
    repo: Repository, storage: FakeStorage
) -> None:
    item_id = await stored(repo)
    has_begun, goes_on = asyncio.Event(), asyncio.Event()
    writing = asyncio.create_task(repo.write(item_id, Source(chunks=held(has_begun, goes_on))))
    await has_begun.wait()
    await repo.delete(item_id)
    goes_on.set()
    with pytest.raises((NoSuchItem, UploadEnded)):
        await writing
    assert storage.used == 0
    assert await repo.upkeep.clear() == 0


async def test_an_owner_has_so_many_uploads_at_once(repo: Repository) -> None:
    item = await repo.create("pr_city", {})
    goes_on = asyncio.Event()
    begun = [asyncio.Event() for _ in range(MOST_UPLOADS)]
    writes = [
        asyncio.create_task(repo.write(item.id, Source(chunks=held(one, goes_on)))) for one in begun
    ]
    await asyncio.gather(*(one.wait() for one in begun))
    with pytest.raises(TooManyUploads, match="pr_city"):
        await repo.write(item.id, source(b"z"))
    goes_on.set()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in outcomes) == 1


async def test_expired_items_are_gone_at_once_and_their_bytes_with_the_next_run(
    repo: Repository, storage: FakeStorage, clock: SetClock
) -> None:
    kept = await stored(repo)
    item = await repo.create("pr_city", {}, expires_in_s=10)
    await repo.write(item.id, source(b"abc"))
    clock.at_s += 9.5
    assert await repo.upkeep.expire() == 0
    clock.at_s += 0.5
    for gone in (repo.get, repo.content, repo.delete):
        with pytest.raises(NoSuchItem, match="expired"):
            await gone(item.id)
    assert await repo.upkeep.expire() == 1
    assert storage.used == 1
    assert await repo.find({}, owner=None) == [kept]


async def test_bytes_that_cannot_be_removed_now_are_removed_later(
    repo: Repository, storage: FakeStorage
) -> None:
    item_id = await stored(repo, b"abc")
    storage.is_failing = True
    await repo.delete(item_id)
    assert storage.used == 3
    assert await repo.upkeep.clear() == 0
    storage.is_failing = False
    assert await repo.upkeep.clear() == 1
    assert storage.used == 0


async def test_of_a_storage_that_fails_nothing_is_counted(
    repo: Repository, storage: FakeStorage
) -> None:
    item = await repo.create("pr_city", {})
    storage.is_failing = True
    with pytest.raises(StorageFailed):
        await repo.write(item.id, source(b"abc"))
    assert (await repo.usage("pr_city")).bytes == 0
    storage.is_failing = False
    await repo.write(item.id, source(b"abc"))
    assert await repo.upkeep.clear() == 1


async def test_what_a_dead_control_plane_left_of_an_upload_goes(
    repo: Repository, storage: FakeStorage, clock: SetClock
) -> None:
    item = await repo.create("pr_city", {})
    await repo.store.begin(item.id, "blob_half", clock.at_s)
    await repo.store.touch("blob_half", "pr_city", 500, clock.at_s)
    await storage.write("blob_half", chunks(b"x" * 500))
    assert (await repo.usage("pr_city")).bytes == 500
    clock.at_s += STALE_S
    assert (await repo.upkeep.clear(), await repo.upkeep.sweep()) == (0, (0, 0))
    clock.at_s += 1
    assert await repo.upkeep.clear() == 1
    assert storage.used == 0 == (await repo.usage("pr_city")).bytes
    with pytest.raises(UploadEnded):
        await repo.store.touch("blob_half", "pr_city", 500, clock.at_s)


async def test_with_another_database_no_bytes_are_removed(
    repo: Repository, storage: FakeStorage, clock: SetClock
) -> None:
    for number in range(20):
        await storage.write(f"blob_{number}", chunks(b"x"))
    clock.at_s += STALE_S + 1
    assert await repo.upkeep.sweep() == (0, 0)
    kept = await stored(repo)
    clock.at_s += STALE_S + 1
    assert await repo.upkeep.sweep() == (0, 0)
    for number in range(4):
        await storage.remove(f"blob_{number}")
    assert await repo.upkeep.sweep() == (16, 0)
    assert storage.used == (await repo.get(kept)).size == 1


async def test_an_upload_that_goes_on_is_not_given_up(
    repo: Repository, storage: FakeStorage, clock: SetClock
) -> None:
    item = await repo.create("pr_city", {})

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(4):
            clock.at_s += STALE_S - 1
            yield b"x" * 1000
            await repo.upkeep.clear()

    assert (await repo.write(item.id, Source(chunks=slow()))).size == 4000


async def test_a_run_does_all_of_it(
    repo: Repository, storage: FakeStorage, clock: SetClock
) -> None:
    item_id = await stored(repo, b"abc")
    (part,) = (await repo.content(item_id)).parts
    await repo.create("pr_city", {}, expires_in_s=10)
    storage.damage(part.blob, 0)
    clock.at_s += repo.upkeep.scrub_s + 1
    running = asyncio.create_task(repo.run())
    async with asyncio.timeout(20):
        while (await repo.get(item_id)).state is not ItemState.DAMAGED:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await repo.usage("pr_city")).items == 1


async def test_an_item_whose_bytes_are_right_again_recovers(
    repo: Repository, storage: FakeStorage, clock: SetClock
) -> None:
    item_id = await stored(repo, b"abc")
    (part,) = (await repo.content(item_id)).parts
    for _ in range(2):  # the second time it is as it was
        storage.damage(part.blob, 1)
        clock.at_s += repo.upkeep.scrub_s + 1
        assert await repo.upkeep.scrub() == part
    assert (await repo.get(item_id)).state is ItemState.STORED
    async with aclosing(repo.read(await repo.content(item_id))) as pieces:
        assert [piece async for piece in pieces] == [b"abc"]
