"""A storage function and its client: secrets, limits, broken connections, hostile requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from support.storage_worlds import SECRET, chunks, listed, read, remote, storage_options
from support.waiting import until
from umbel.kit import secret_tls
from umbel.repository.drivers.files import FileStorage
from umbel.repository.drivers.remote import RemoteStorage
from umbel.repository.model import RepositoryFull, StorageFailed
from umbel.repository.node_storage import process
from umbel.repository.node_storage.bounded import BoundedStorage
from umbel.repository.node_storage.process import Listening

MIB = 1 << 20
DATA = bytes(range(256)) * 4096


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[Listening]:
    options = storage_options(tmp_path / "function", limit_bytes=4 * MIB)
    async with process.opened(options) as made:
        yield made


@pytest.fixture
async def storage(listening: Listening) -> AsyncIterator[RemoteStorage]:
    made = remote(listening)
    yield made
    await made.close()


@asynccontextmanager
async def http(listening: Listening, given: str = SECRET) -> AsyncIterator[httpx.AsyncClient]:
    """A client that trusts the function, and says what it likes."""
    async with httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{listening.ports['tls']}",
        verify=secret_tls.client_context(SECRET),
        headers={"Authorization": f"Bearer {given}"} if given else {},
        trust_env=False,
        timeout=30.0,
    ) as made:
        yield made


async def is_there(path: Path) -> bool:
    return path.exists()


# -- who may ask ----------------------------------------------------------------------------


async def test_who_has_another_secret_is_neither_asked_nor_answered(
    listening: Listening, storage: RemoteStorage
) -> None:
    await storage.write("blob_a", chunks(DATA))
    stranger = remote(listening, secret="another")
    for call in (
        stranger.write("blob_b", chunks(DATA)),
        stranger.size("blob_a"),
        stranger.remove("blob_a"),
        stranger.usage(),
        read(stranger, "blob_a"),
    ):
        with pytest.raises(StorageFailed, match="another secret"):
            await call
    await stranger.close()
    assert await read(storage, "blob_a") == DATA


@pytest.mark.parametrize("given", ["", "another", f"{SECRET}x"])
async def test_every_path_needs_the_secret(
    listening: Listening, storage: RemoteStorage, given: str
) -> None:
    await storage.write("blob_a", chunks(DATA))
    one = "/shards/0/blobs/blob_a"
    async with http(listening, given) as client:
        for method, path in (
            ("GET", one),
            ("HEAD", one),
            ("DELETE", one),
            ("PUT", "/shards/0/blobs/blob_b"),
            ("GET", "/shards/0/blobs"),
            ("GET", "/usage"),
            ("POST", "/shards/0/sizes"),
            ("PUT", "/limit"),
        ):
            answer = await client.request(method, path)
            assert answer.status_code == 401, (method, path)
            if method != "HEAD":
                assert answer.json()["code"] == "umbel.storage_secret_wrong"
    assert await listed(storage) == ["blob_a"]


async def test_without_tls_there_is_health_alone(
    listening: Listening, storage: RemoteStorage
) -> None:
    await storage.write("blob_a", chunks(DATA))
    url = f"http://127.0.0.1:{listening.ports['control']}"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {SECRET}"}) as client:
        assert (await client.get(f"{url}/healthz")).status_code == 200
        assert (await client.get(f"{url}/shards/0/blobs/blob_a")).status_code == 404


# -- how much -------------------------------------------------------------------------------


async def test_a_limit_is_kept_and_may_be_changed(storage: RemoteStorage) -> None:
    for number in range(4):
        await storage.write(f"blob_{number}", chunks(DATA))
    with pytest.raises(RepositoryFull, match="limit"):
        await storage.write("blob_4", chunks(b"x"))
    usage = await storage.usage()
    assert (usage.used_bytes, usage.limit_bytes) == (4 * MIB, 4 * MIB)
    assert usage.free_bytes > 0
    await storage.remove("blob_0")
    await storage.write("blob_4", chunks(DATA))
    await storage.set_limit(5 * MIB)
    await storage.write("blob_5", chunks(DATA))
    await storage.set_limit(1)
    with pytest.raises(RepositoryFull):
        await storage.write("blob_6", chunks(b"x"))
    assert await read(storage, "blob_5") == DATA
    assert (await storage.usage()).used_bytes == 5 * MIB


async def test_who_writes_too_much_hears_it_before_the_end(storage: RemoteStorage) -> None:
    for attempt in range(10):
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += len(DATA)
                yield DATA

        with pytest.raises(RepositoryFull):
            async with asyncio.timeout(60):
                await storage.write(f"blob_{attempt}", endless())
        assert sent < 64 * MIB
    assert await listed(storage) == []
    assert (await storage.usage()).used_bytes == 0


async def test_many_writes_at_once_take_no_more_than_there_is(storage: RemoteStorage) -> None:
    done = await asyncio.gather(
        *(storage.write(f"blob_{number}", chunks(DATA)) for number in range(8)),
        return_exceptions=True,
    )
    kept = [one for one in done if one == MIB]
    assert len(kept) <= 4
    assert all(isinstance(one, RepositoryFull) for one in done if one != MIB)
    assert (await storage.usage()).used_bytes == len(kept) * MIB == MIB * len(await listed(storage))
    for number in range(len(kept), 4):  # what the others took is free again
        await storage.write(f"later_{number}", chunks(DATA))


async def test_a_blob_that_is_written_again_counts_once(tmp_path: Path) -> None:
    inside = FileStorage(tmp_path)
    bounded = BoundedStorage(inside, 3 * MIB)
    for _ in range(3):
        await bounded.write("blob_a", chunks(DATA))
    assert bounded.used_bytes == await inside.size("blob_a") == MIB
    await asyncio.gather(*(bounded.remove("blob_a") for _ in range(3)))
    assert bounded.used_bytes == 0
    await bounded.close()


# -- connections ----------------------------------------------------------------------------


async def test_of_a_write_whose_connection_is_cut_nothing_is_left(
    listening: Listening, storage: RemoteStorage, tmp_path: Path
) -> None:
    draft = tmp_path / "function/blobs/drafts/blob_a"
    head = (
        "PUT /shards/0/blobs/blob_a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n"
        f"Authorization: Bearer {SECRET}\r\n\r\n"
    )
    _, writer = await asyncio.open_connection(
        "127.0.0.1", listening.ports["tls"], ssl=secret_tls.client_context(SECRET)
    )
    writer.write(head.encode() + DATA[:500_000])
    await until(lambda: is_there(draft))
    writer.transport.abort()
    await until(lambda: is_there(draft), lambda found: not found)
    assert await listed(storage) == []
    assert (await storage.usage()).used_bytes == 0
    await storage.write("blob_a", chunks(DATA))
    assert await read(storage, "blob_a") == DATA


async def test_a_blob_that_is_removed_while_its_bytes_come_is_not_kept(
    storage: RemoteStorage, tmp_path: Path
) -> None:
    may_end, draft = asyncio.Event(), tmp_path / "function/blobs/drafts/blob_a"

    async def slow() -> AsyncIterator[bytes]:
        yield DATA
        await may_end.wait()
        yield DATA

    writing = asyncio.create_task(storage.write("blob_a", slow()))
    await until(lambda: is_there(draft))
    with pytest.raises(StorageFailed, match="written already"):
        await storage.write("blob_a", chunks(DATA))
    await storage.remove("blob_a")
    may_end.set()
    with pytest.raises(StorageFailed):
        await writing
    assert await listed(storage) == []
    assert (await storage.usage()).used_bytes == 0


# -- hostile requests -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/shards/0/blobs/..%2f..%2fshard",
        "/shards/0/blobs/%2e%2e",
        "/shards/0/blobs/.hidden",
        "/shards/0/blobs/a%00b",
        "/shards/0/blobs/" + "x" * 200,
        "/shards/64/blobs/blob_a",
        "/shards/-1/blobs/blob_a",
        "/shards/%D9%A1/blobs/blob_a",
        "/shards/" + "9" * 5000 + "/blobs/blob_a",
        "/shards/0/blobs/a/b",
    ],
)
async def test_names_that_are_none_reach_no_file(
    listening: Listening, tmp_path: Path, path: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    async with http(listening) as client:
        for method in ("GET", "PUT", "DELETE"):
            answer = await client.request(method, path, content=b"x" if method == "PUT" else None)
            assert answer.status_code == 404, (method, answer.text)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("bytes=0-0", 206),
        ("bytes=-5", 206),
        ("bytes=5-", 206),
        ("bytes=0-999999999999999999", 200),
        ("lines=1-2", 200),
        ("bytes=9999999-", 416),
        ("bytes=5-4", 416),
        ("bytes=0-1,4-5", 416),
        ("bytes=" + "9" * 30 + "-", 416),
        ("bytes=" + "0-1," * 1000, 416),
    ],
)
async def test_ranges(
    listening: Listening, storage: RemoteStorage, given: str, status: int
) -> None:
    await storage.write("blob_a", chunks(DATA))
    async with http(listening) as client:
        answer = await client.get("/shards/0/blobs/blob_a", headers={"Range": given})
    assert answer.status_code == status
    if status == 200:
        assert answer.content == DATA


@pytest.mark.parametrize("body", [b"", b"{}", b'{"limit_bytes": -1}', b"[" * 4000, b"x" * 5000])
async def test_a_limit_that_is_none_changes_nothing(
    listening: Listening, storage: RemoteStorage, body: bytes
) -> None:
    async with http(listening) as client:
        answer = await client.put("/limit", content=body)
    assert 400 <= answer.status_code < 500
    assert (await storage.usage()).limit_bytes == 4 * MIB


@pytest.mark.parametrize("body", [b"", b"{}", b'["../a"]', b"[1]", b"[" * 4000, b'["a"]' * 70_000])
async def test_names_that_are_none_have_no_sizes(
    listening: Listening, storage: RemoteStorage, body: bytes
) -> None:
    async with http(listening) as client:
        answer = await client.post("/shards/0/sizes", content=body)
    assert 400 <= answer.status_code < 500
