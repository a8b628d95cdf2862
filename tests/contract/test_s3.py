"""What only buckets have: uploads in parts, keys that are refused, servers that are gone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace

import pytest

from support.s3_servers import S3_KINDS, S3Server
from support.storage_worlds import chunks
from umbel.repository.drivers.s3 import PART_BYTES, S3Storage
from umbel.repository.model import BlobMissing, StorageFailed
from umbel.repository.ports import Stored

LONG = bytes(range(256)) * (2 * PART_BYTES // 256) + b"the end"


@pytest.fixture(params=S3_KINDS)
def server(request: pytest.FixtureRequest, s3_servers: Callable[[str], S3Server]) -> S3Server:
    made = s3_servers(request.param)
    return replace(made, bucket=made.bucket.inside(request.node.name.partition("[")[0][-40:]))


@pytest.fixture
async def storage(server: S3Server) -> AsyncIterator[S3Storage]:
    made = S3Storage(server.bucket, server.access)
    yield made
    await made.close()


async def kept(storage: S3Storage) -> list[Stored]:
    async with aclosing(storage.list()) as found:
        return [one async for one in found]


async def test_what_has_many_parts_is_whole(storage: S3Storage) -> None:
    assert await storage.write("blob_a", chunks(LONG, 1 << 20)) == len(LONG)
    assert await storage.size("blob_a") == len(LONG)
    start = PART_BYTES - 5
    async with aclosing(storage.read("blob_a", start, len(LONG))) as pieces:
        assert b"".join([piece async for piece in pieces]) == LONG[start:]
    assert [(one.blob, one.size) for one in await kept(storage)] == [("blob_a", len(LONG))]


async def test_of_an_upload_in_parts_that_fails_nothing_is_left(storage: S3Storage) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LONG
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await storage.write("blob_a", broken())
    has_begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield LONG
        has_begun.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(storage.write("blob_a", endless()))
    await has_begun.wait()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert writing.cancelled()
    assert await kept(storage) == []


async def test_an_upload_that_a_dead_process_left_is_seen_and_removed(storage: S3Storage) -> None:
    key = f"{storage.bucket.prefix}blob_a"
    for _ in range(2):
        await storage._call("create_multipart_upload", Key=key)
    await storage._call("create_multipart_upload", Key=f"{key}bc")
    left = await kept(storage)
    assert sorted(one.blob for one in left) == ["blob_a", "blob_a", "blob_abc"]
    assert not any(one.is_whole for one in left)
    with pytest.raises(BlobMissing):
        await storage.size("blob_a")
    await storage.remove("blob_a")
    assert [one.blob for one in await kept(storage)] == ["blob_abc"]
    await storage.remove("blob_abc")
    assert await kept(storage) == []


@pytest.mark.parametrize("what", ["key", "secret", "bucket", "server"])
async def test_what_is_wrong_is_named_without_the_secret(server: S3Server, what: str) -> None:
    bucket, access = server.bucket, server.access
    if what == "bucket":
        bucket = replace(bucket, name="none-such")
    elif what == "server":
        bucket = replace(bucket, endpoint="http://127.0.0.1:1")
    else:
        access = replace(access, **{what: "wrong" * 5})
    storage = S3Storage(bucket, access)
    with pytest.raises((StorageFailed, BlobMissing)) as refused:
        await storage.write("blob_a", chunks(b"x"))
    if what != "bucket":
        assert isinstance(refused.value, StorageFailed)
        assert bucket.endpoint in str(refused.value)
    said = f"{refused.value} {refused.value.details} {access!r} {storage!r}"
    assert server.access.secret not in said
    await storage.close()
