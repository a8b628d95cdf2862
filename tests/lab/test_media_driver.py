"""The driver of media servers, when these refuse, restart, move or hang."""

import asyncio
import base64
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from support.media_server import SECRET, Ground, MediaProcess, ground
from support.media_tree import spec
from support.waiting import until
from support.webrtc_peer import Watcher, on_loopback
from umbel.kit import secret_tls
from umbel.kit.errors import Unavailable
from umbel.media.drivers.jsonrpc import ChannelPlain, JsonRpcMedia
from umbel.media.model import SRTP_KEY_BYTES, Server, StreamRole

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Ground]:
    with ground(tmp_path) as opened:
        yield opened


@pytest.fixture
async def plane() -> AsyncIterator[JsonRpcMedia]:
    opened = JsonRpcMedia()
    yield opened
    await opened.close()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
async def edge(made: Ground, plane: JsonRpcMedia) -> MediaProcess:
    """One edge that has the stream, without packets."""
    started = made.start("edge-pe4-1", "edge", "127.0.9.13")
    await plane.ensure(started.server, spec(StreamRole.EDGE))
    return started


async def test_a_wrong_secret_is_unavailable(edge: MediaProcess, plane: JsonRpcMedia) -> None:
    wrong = Server(
        function_id="edge-pe4-1",
        address=edge.server.address,
        control_port=edge.server.control_port,
        secret="wrong",
    )
    for one in (wrong, replace(wrong, tls_port=edge.server.tls_port)):
        with pytest.raises(Unavailable):
            await plane.observe(one)
    assert list(await plane.observe(edge.server)) == ["ev1"]


@asynccontextmanager
async def tap(server: Server) -> AsyncIterator[tuple[Server, bytearray]]:
    """The server behind a wire, and all bytes that pass there."""
    seen = bytearray()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            seen.extend(data)
            writer.write(data)
        writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(
            server.address, server.tls_port or server.control_port
        )
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer), return_exceptions=True)

    wire = await asyncio.start_server(join, "127.0.9.1", 0)
    port: int = wire.sockets[0].getsockname()[1]
    tapped = replace(server, address="127.0.9.1", control_port=port)
    async with wire:
        yield replace(tapped, tls_port=port) if server.tls_port else tapped, seen


def _shows(seen: bytes | bytearray, word: bytes) -> bool:
    """Whether it is there, in clear or behind a WebSocket's mask: four bytes again and again."""
    changes = [bytes(a ^ b for a, b in zip(text, text[4:], strict=False)) for text in (seen, word)]
    return changes[1] in changes[0]


async def test_who_reads_the_wire_sees_no_key(edge: MediaProcess, plane: JsonRpcMedia) -> None:
    key = bytes(range(SRTP_KEY_BYTES))
    wanted = replace(spec(StreamRole.EDGE), stream="ev2", srtp_key=key)
    shown = base64.b64encode(key), SECRET.encode(), b"getStreams"
    async with tap(edge.server) as (server, seen):
        assert (await plane.ensure(server, wanted)).srtp_key_id
        assert len(seen) > 1000
        assert not [word for word in shown if _shows(seen, word)]
    # A server without TLS shows all of it; that is why it gets no key where others can read.
    async with tap(replace(edge.server, tls_port=0)) as (server, seen):
        await plane.ensure(server, replace(wanted, stream="ev3"))
        assert [word for word in shown if _shows(seen, word)] == list(shown)
    elsewhere = Server(function_id="edge", address="192.0.2.1", control_port=1, secret=SECRET)
    with pytest.raises(ChannelPlain):
        await plane.ensure(elsewhere, wanted)


async def test_who_pretends_to_be_a_function_learns_nothing(plane: JsonRpcMedia) -> None:
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read())

    tls = secret_tls.server_context("guessed")
    async with await asyncio.start_server(listen, "127.0.9.1", 0, ssl=tls) as pretender:
        port = pretender.sockets[0].getsockname()[1]
        server = Server(
            function_id="edge", address="127.0.9.1", control_port=1, tls_port=port, secret=SECRET
        )
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await plane.observe(server)
    assert not heard


async def test_a_restarted_server_is_found_again(made: Ground, plane: JsonRpcMedia) -> None:
    first = made.start("acq-1", "acquirer", "127.0.9.14")
    changes: list[tuple[str, str]] = []
    plane.watch(lambda function, stream: changes.append((function, stream)))
    await plane.ensure(first.server, spec(StreamRole.ACQUIRER))
    first.kill()

    async def told() -> list[tuple[str, str]]:
        return changes

    await until(told, lambda seen: seen == [("acq-1", "")])
    with pytest.raises(Unavailable):
        await plane.observe(first.server)
    port = first.server.tls_port
    second = made.start("acq-1", "acquirer", "127.0.9.14", tls_port=port)
    await until(told, lambda seen: seen == [("acq-1", "")] * 2)
    assert await plane.observe(second.server) == {}
    state = await plane.ensure(second.server, spec(StreamRole.ACQUIRER))
    # The new channel has the subscription of the old one.
    url = dict(state.urls)["rtmp"]
    made.push("-f", "flv", f"{url}/ev1.wrong")
    await until(told, lambda seen: ("acq-1", "ev1") in seen)


async def test_a_server_elsewhere_is_reached_anew(made: Ground, plane: JsonRpcMedia) -> None:
    first = made.start("edge-1", "edge", "127.0.9.14")
    await plane.ensure(first.server, spec(StreamRole.EDGE))
    second = made.start("edge-1", "edge", "127.0.9.15")
    assert await plane.observe(second.server) == {}
    assert list(await plane.observe(first.server)) == ["ev1"]


async def test_a_hung_server_is_unavailable_and_comes_back(
    edge: MediaProcess, http: httpx.AsyncClient
) -> None:
    plane = JsonRpcMedia(deadline_s=0.5)
    try:
        assert list(await plane.observe(edge.server)) == ["ev1"]
        edge.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable):
                await plane.observe(edge.server)
        finally:
            edge.process.send_signal(signal.SIGCONT)

        async def again() -> bool:
            try:
                return "ev1" in await plane.observe(edge.server)
            except Unavailable:
                return False

        await until(again)
    finally:
        await plane.close()


async def test_nothing_is_remembered_of_a_stream_that_was_removed(
    edge: MediaProcess, plane: JsonRpcMedia
) -> None:
    wanted = replace(spec(StreamRole.EDGE), revoked=(("se_1", 4_000_000_000),))
    await plane.ensure(edge.server, wanted)
    link = plane._links[edge.server.function_id]
    assert list(link.revoked) == ["ev1"]
    await plane.remove(edge.server, "ev1")
    assert not link.revoked


async def test_a_session_has_four_connections_at_most(
    made: Ground, edge: MediaProcess, http: httpx.AsyncClient
) -> None:
    watchers = [
        Watcher(http, f"{edge.http}/whep/ev1", made.token(session, "ev1"))
        for session in ("other", *["mine"] * 5)
    ]
    with on_loopback():
        try:
            for watcher in watchers:
                await watcher.start()
            ended = [
                await http.delete(watcher.resource, headers=watcher.headers) for watcher in watchers
            ]
        finally:
            for watcher in watchers:
                await watcher.close()
    assert [answer.status_code for answer in ended] == [200, 404, 200, 200, 200, 200]
