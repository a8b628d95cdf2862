"""The client of storage functions: peers that lie, are silent or gone; cancelled calls."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import pytest

from support.storage_worlds import SECRET, chunks, listed, read, remote, storage_options
from support.waiting import until
from umbel.kit import secret_tls
from umbel.repository.drivers.remote import Location, RemoteStorage
from umbel.repository.model import StorageFailed
from umbel.repository.node_storage import process
from umbel.repository.node_storage.process import Listening

DATA = bytes(range(256)) * 4096
SILENCE_S = 0.3


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[Listening]:
    async with process.opened(storage_options(tmp_path / "function")) as made:
        yield made


@pytest.fixture
async def storage(listening: Listening) -> AsyncIterator[RemoteStorage]:
    made = remote(listening)
    yield made
    await made.close()


async def test_calls_that_are_cancelled_at_any_moment_leave_no_connection_open(
    listening: Listening, storage: RemoteStorage
) -> None:
    await storage.write("blob_a", chunks(DATA))
    before = len(os.listdir("/proc/self/fd"))
    for steps in range(60):
        other = remote(listening)
        calling = asyncio.create_task(other.size("blob_a"))
        for _ in range(steps):
            await asyncio.sleep(0)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        await other.close()

    async def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    await until(descriptors, lambda now: now <= before)
    assert await storage.size("blob_a") == len(DATA)


@asynccontextmanager
async def serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    silence_s: float = 30.0,
) -> AsyncIterator[RemoteStorage]:
    """A client of something that serves with the function's secret."""
    context = secret_tls.server_context(SECRET)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def locate() -> Location:
        return Location(address="127.0.0.1", tls_port=port, secret=SECRET)

    storage = RemoteStorage("storage-a", 0, locate, silence_s=silence_s)
    try:
        yield storage
    finally:
        await storage.close()
        server.close()


class Peer:
    """Something that listens at the function's address with its secret, and is not it."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer

    def serving(self) -> AbstractAsyncContextManager[RemoteStorage]:
        return serving(self._serve, SILENCE_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if self._answer is None:
                await reader.read()  # says nothing until the client goes
            else:
                writer.write(self._answer)
                await writer.drain()
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def test_a_short_call_that_is_not_needed_any_more_costs_no_connection() -> None:
    asked, may_answer, connections = asyncio.Event(), asyncio.Event(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                asked.set()
                await may_answer.wait()
                writer.write(answer("200 OK\r\nContent-Length: 7"))
        writer.close()

    async with serving(serve) as storage:
        first = asyncio.create_task(storage.size("blob_a"))
        await asked.wait()
        first.cancel()
        may_answer.set()
        await asyncio.gather(first, return_exceptions=True)
        assert first.cancelled()
        assert await storage.size("blob_a") == 7
    assert connections == 1


def answer(head: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {head}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "said",
    [
        None,
        b"",
        b"garbage\r\n\r\n",
        answer("200 OK\r\nContent-Length: 100", b"half"),
        answer("500 Oh\r\nContent-Length: 4", b"what"),
        answer("302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0"),
        answer("200 OK\r\nTransfer-Encoding: chunked", b"5\r\nhello\r\n"),
    ],
)
async def test_what_does_not_answer_as_agreed_has_failed(said: bytes | None) -> None:
    async with Peer(said).serving() as storage, asyncio.timeout(60):
        calls = [storage.write("blob_a", chunks(DATA)), read(storage, "blob_a"), storage.usage()]
        for call in [*calls, listed(storage)]:
            with pytest.raises(StorageFailed):
                await call


async def test_answers_without_end_are_not_read() -> None:
    long = b"x" * 100_000
    head = f"200 OK\r\nContent-Length: {len(long)}"
    async with Peer(answer(head, long)).serving() as storage:
        for call in (storage.usage(), listed(storage)):
            with pytest.raises(StorageFailed):
                await call


async def test_a_function_that_is_not_there_has_failed(tmp_path: Path) -> None:
    async with process.opened(storage_options(tmp_path)) as listening:
        storage = remote(listening)
    for call in (storage.size("blob_a"), read(storage, "blob_a"), storage.usage()):
        with pytest.raises(StorageFailed, match="does not answer"):
            await call
    await storage.close()
