"""What strangers send to a listener before any app sees it: heads, chunks and trailers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import uvicorn
import websockets
from starlette.types import Receive, Scope, Send

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
    config = listener(echo, lifespan="off", ws="websockets-sansio")
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
