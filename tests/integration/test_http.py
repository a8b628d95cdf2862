"""What strangers send to a listener before any app sees it: heads, chunks and trailers."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
import websockets
from starlette.types import ASGIApp, Receive, Scope, Send

from umbel.kit.http import MOST_HEAD_BYTES, BoundedHttp, listener
from umbel.kit.listening import bind

CHUNK = 16 * 1024
SOON_S = 0.1
MOST_SENT = 4 * MOST_HEAD_BYTES + 1024 * 1024
"""So much is taken at most before the connection ends; sockets' buffers are part of it."""

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _longer_than_patience(scope: Scope) -> None:
    """Until the listener has let another connection go that says nothing: a later one than ours."""
    reader, writer = await asyncio.open_connection(*scope["server"])
    assert await reader.read() == b""
    writer.close()


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of the body; on /slow after a while."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await _longer_than_patience(scope)
        await send({"type": "websocket.send", "text": "still here"})
        return
    length, is_more = 0, True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message.get("body", b""))
        is_more = message.get("more_body", False)
    if scope["path"] == "/slow":
        await _longer_than_patience(scope)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


@pytest.fixture
async def connection() -> AsyncIterator[Pair]:
    """To a listener as the front end and the media servers have it."""
    streams = re.compile("/stream")
    config = listener(echo, lifespan="off", ws="websockets-sansio", streams=streams)
    server, listening = uvicorn.Server(config), bind("127.0.0.1", 0)
    listening.listen()
    serving = asyncio.create_task(server._serve([listening]))
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await serving


async def flood(pair: Pair, start: bytes, again: bytes) -> int:
    """Send the start, and then the same again and again; answers how much was taken."""
    reader, writer = pair
    writer.write(start)
    sent = len(start)
    with contextlib.suppress(ConnectionError):
        while sent < 10 * MOST_SENT and not reader.at_eof():
            writer.write(again)
            sent += len(again)
            await writer.drain()
            await asyncio.sleep(0)
    return sent


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (b"GET /", b"a" * CHUNK),
        (b"GET / HTTP/1.1\r\nHost: here\r\nX-Long: ", b"a" * CHUNK),
        (b"GET / HTTP/1.1\r\nHost: here\r\n", b"X-Many: a\r\n" * 1_000),
        (
            b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X-Trailer: a\r\n" * 1_000,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n1;ext=",
            b"a" * CHUNK,
        ),
    ],
    ids=["target", "header", "headers", "trailers", "chunk extension"],
)
async def test_a_head_without_end_is_refused(connection: Pair, start: bytes, again: bytes) -> None:
    assert await flood(connection, start, again) < MOST_SENT


async def answer(pair: Pair, request: bytes) -> bytes:
    """The status line and the body."""
    reader, writer = pair
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    body = b""
    if b"chunked" in head:
        size = int(await reader.readuntil(b"\r\n"), 16)
        body = await reader.readexactly(size)
        await reader.readuntil(b"0\r\n\r\n")
    return head.partition(b"\r\n")[0] + b" " + body


@pytest.mark.parametrize(
    ("request_", "status"),
    [(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", b"200"), (b"no request at all\r\n\r\n", b"400")],
)
async def test_browsers_are_told_not_to_guess_types_whatever_the_answer(
    connection: Pair, request_: bytes, status: bytes
) -> None:
    reader, writer = connection
    writer.write(request_)
    lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    assert lines[0].split()[1] == status
    assert lines.count(b"x-content-type-options: nosniff") == 1


async def test_long_bodies_and_many_requests_pass_on_one_connection(connection: Pair) -> None:
    """The bound is for what is no body, of one request."""
    fat = b"X-Fat: " + b"a" * (MOST_HEAD_BYTES // 2) + b"\r\n"
    for _ in range(4):
        got = await answer(connection, b"GET / HTTP/1.1\r\nHost: here\r\n" + fat + b"\r\n")
        assert got == b"HTTP/1.1 200 OK 0"
    long = MOST_HEAD_BYTES * 8
    head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % long
    assert await answer(connection, head + b"a" * long) == b"HTTP/1.1 200 OK %d" % long
    chunk = b"%x\r\n" % CHUNK + b"a" * CHUNK + b"\r\n"
    head = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = await answer(connection, head + chunk * 32 + b"0\r\n\r\n")
    assert got == b"HTTP/1.1 200 OK %d" % (CHUNK * 32)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedHttp, "head_s", SOON_S)
    monkeypatch.setattr(BoundedHttp, "body_s", SOON_S)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: he",
        b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\nhalf",
        b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "a chunk"],
)
async def test_who_does_not_go_on_is_let_go(sent: bytes, connection: Pair) -> None:
    reader, writer = connection
    writer.write(sent)
    async with asyncio.timeout(10):
        assert await reader.read() == b""


@pytest.mark.parametrize(("path", "is_kept"), [("/stream", True), ("/", False)])
async def test_a_streamed_body_may_take_any_time_as_long_as_it_goes_on(
    path: str, is_kept: bool, connection: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedHttp, "body_s", 2.0)
    reader, writer = connection
    writer.write(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n".encode())
    loop = asyncio.get_running_loop()
    begun_s, sent = loop.time(), 0
    while loop.time() - begun_s < 3.0 and not reader.at_eof():
        writer.write(b"x")
        sent += 1
        await asyncio.sleep(0.05)
    assert reader.at_eof() is not is_kept
    if is_kept:
        assert await answer(connection, bytes(100_000 - sent)) == b"HTTP/1.1 200 OK 100000"


@pytest.mark.usefixtures("impatient")
async def test_an_answer_may_take_its_time(connection: Pair) -> None:
    got = await answer(connection, b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n")
    assert got == b"HTTP/1.1 200 OK 0"
    assert await answer(connection, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n") == got


@pytest.mark.usefixtures("impatient")
async def test_a_websocket_has_no_deadline(connection: Pair) -> None:
    host, port = connection[1].get_extra_info("peername")
    async with websockets.connect(f"ws://{host}:{port}/", proxy=None) as socket:
        assert await socket.recv() == "still here"


@asynccontextmanager
async def listening(
    most_per_address: int,
    trusted_proxies: str = "",
    host: str = "127.0.0.1",
    app: ASGIApp = echo,
) -> AsyncIterator[tuple[str, int]]:
    """A listener's address."""
    config = listener(
        app, most_per_address=most_per_address, trusted_proxies=trusted_proxies, lifespan="off"
    )
    server, bound = uvicorn.Server(config), bind(host, 0)
    bound.listen()
    serving = asyncio.create_task(server._serve([bound]))
    try:
        yield "127.0.0.1", bound.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def opened(address: tuple[str, int], count: int, host: str = "127.0.0.1") -> list[Pair]:
    """Connections from one host, one after the other; each was answered."""
    made = []
    for _ in range(count):
        pair = await asyncio.open_connection(*address, local_addr=(host, 0))
        await asked(pair)
        made.append(pair)
    return made


async def asked(pair: Pair) -> bool:
    """Whether the connection answers a request."""
    reader, writer = pair
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await reader.readuntil(b"\r\n0\r\n\r\n")  # the last chunk
        return answer.startswith(b"HTTP/1.1 200")
    except (ConnectionError, asyncio.IncompleteReadError):
        return False


async def test_an_address_has_so_many_connections_and_others_have_theirs() -> None:
    async with listening(3) as address:
        first = await opened(address, 4)
        assert [await asked(pair) for pair in first] == [False, True, True, True]
        other = await opened(address, 1, "127.0.0.2")
        assert [await asked(pair) for pair in (*first[1:], *other)] == [True] * 4
        for _, writer in (*first, *other):
            writer.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
async def test_connections_of_a_proxy_are_not_bounded(host: str) -> None:
    async with listening(3, trusted_proxies="127.0.0.2/32", host=host) as address:
        many = await opened(address, 8, "127.0.0.2")
        assert [await asked(pair) for pair in many] == [True] * 8
        for _, writer in many:
            writer.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
async def test_a_proxy_is_believed_on_a_socket_of_both_families_too(host: str) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["client"][0])
        await echo(scope, receive, send)

    async with listening(3, trusted_proxies="127.0.0.2/32", host=host, app=app) as address:
        for proxy in ("127.0.0.2", "127.0.0.3"):
            pair = await asyncio.open_connection(*address, local_addr=(proxy, 0))
            pair[1].write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n")
            await pair[0].readuntil(b"\r\n0\r\n\r\n")
            pair[1].close()
    assert [one.removeprefix("::ffff:") for one in seen] == ["203.0.113.7", "127.0.0.3"]


async def test_where_all_connections_of_an_address_work_a_new_one_is_refused() -> None:
    async with listening(2) as address:
        busy = [await asyncio.open_connection(*address) for _ in range(2)]
        for _, writer in busy:
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        other = await asyncio.open_connection(*address, local_addr=("127.0.0.2", 0))
        assert await asked(other)  # the heads before came in before this one
        refused = await asyncio.open_connection(*address)
        assert not await asked(refused)
        for reader, writer in busy:
            writer.write(b"x")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        for _, writer in (*busy, other, refused):
            writer.close()
