"""TLS between two that share a secret: who has another one learns nothing."""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
import uvloop
import websockets
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.types import Receive, Scope, Send

from integration.test_http import Pair, asked, echo
from umbel.kit import handshakes, secret_tls
from umbel.kit.function_process import HttpListener
from umbel.kit.listening import bind

SECRET = "open-sesame"
Address = tuple[str, int]


def on_both_loops(test: Callable[[], Coroutine[None, None, None]]) -> Callable[..., None]:
    """A test for asyncio and for uvloop, which media servers run on: each has TLS of its own."""

    def run(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(test())

    loops = [asyncio.new_event_loop, uvloop.new_event_loop]
    return pytest.mark.parametrize("loop", loops, ids=["asyncio", "uvloop"])(run)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers requests, and tells a WebSocket how it came."""
    if scope["type"] == "http":
        await echo(scope, receive, send)
        return
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope["scheme"]})
    await receive()
    await receive()


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Address, HttpListener]]:
    """A media server's listener behind TLS."""
    bound = bind("127.0.0.1", 0)
    bound.listen()
    server = HttpListener(app, bound, 8, secret_tls.server_context(SECRET))
    serving = asyncio.create_task(server.run_until_told())
    await server.up.wait()
    try:
        yield bound.getsockname(), server
    finally:
        server.should_exit = True
        await serving


async def connected(address: Address, secret: str = SECRET) -> Pair:
    return await asyncio.open_connection(*address, ssl=secret_tls.client_context(secret))


async def ended(pair: Pair) -> bool:
    """Whether the listener ends the connection without a word."""
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            return await pair[0].read() == b""
        return True


@on_both_loops
async def test_requests_and_websockets_come_through() -> None:
    async with listening() as (address, _):
        pair = await connected(address)
        assert [await asked(pair), await asked(pair)] == [True, True]
        assert pair[1].get_extra_info("ssl_object").version() == "TLSv1.3"
        pair[1].close()
        url, context = "wss://{}:{}/".format(*address), secret_tls.client_context(SECRET)
        async with websockets.connect(url, ssl=context, proxy=None) as socket:
            assert await socket.recv() == "wss"


@on_both_loops
async def test_a_server_with_another_secret_is_refused() -> None:
    async with listening() as (address, _):
        for secret in ("open-sesamE", ""):
            with pytest.raises(ssl.SSLCertVerificationError):
                await connected(address, secret)
        pair = await connected(address)
        assert await asked(pair)
        pair[1].close()


@on_both_loops
async def test_plain_text_is_not_answered() -> None:
    async with listening() as (address, _):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        async with asyncio.timeout(20):
            assert b"HTTP" not in await reader.read()
        writer.close()


@on_both_loops
async def test_handshakes_that_stand_still_make_room_and_end() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handshakes, "MOST_PER_ADDRESS", 3)
        patch.setattr(handshakes, "WITHIN_S", 60.0)
        async with listening() as (address, _):
            silent = [await asyncio.open_connection(*address) for _ in range(5)]
            assert [await ended(pair) for pair in silent[:2]] == [True, True]
            pair = await connected(address)
            assert await asked(pair)
            patch.setattr(handshakes, "WITHIN_S", 0.1)
            silent.append(await asyncio.open_connection(*address))
            assert await ended(silent[-1])
            for _, writer in (pair, *silent):
                writer.close()


def test_a_certificate_has_no_end_and_is_the_same_in_each_version() -> None:
    made = secret_tls.certificate(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    assert (made.not_valid_before_utc.year, made.not_valid_after_utc.year) == (1970, 9999)
    digest = hashlib.sha256(made.public_bytes(Encoding.DER)).hexdigest()
    assert digest == "30593ea3c75ee4f5ad37a60583202a56d946b716e3a5fedf71450b4a9519e9e2"
