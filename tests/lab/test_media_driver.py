"""The driver of media servers, when these refuse, restart, move or hang."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from support.media_server import Ground, MediaProcess, ground
from support.media_tree import spec
from support.waiting import until
from support.webrtc_peer import Watcher, on_loopback
from umbel.kit.errors import Unavailable
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.model import Server, StreamRole

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
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
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
    with pytest.raises(Unavailable):
        await plane.observe(wrong)
    assert list(await plane.observe(edge.server)) == ["ev1"]


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
    port = first.server.control_port
    second = made.start("acq-1", "acquirer", "127.0.9.14", control_port=port)
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
