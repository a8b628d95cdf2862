"""One suite over every ReplayCaches: the fake, and real edges over HTTPS."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.media_server import Ground, ground
from umbel.kit.clock import SystemClock
from umbel.kit.errors import Unavailable
from umbel.kit.tokens import REPLAY, Claims
from umbel.media.drivers.fake_replays import FakeReplays
from umbel.media.drivers.replay_client import ReplayClient
from umbel.media.io.replay_cache import ReplayElsewhere
from umbel.media.model import Server
from umbel.media.ports import ReplayCaches
from umbel.media.replay import grants
from umbel.media.replay.grants import GrantEnded
from umbel.media.replay.messages import Orders
from umbel.media.replay.pieces import NoSuchPiece, Piece, Span

PLENTY = Orders(mbps=1_000.0)
BODY = bytes(range(256)) * 3_000
STATUS = {NoSuchPiece: 404, GrantEnded: 403, ReplayElsewhere: 503}
FIRST = Piece(capture_id="cap_1", kind="segment", number=1)


def token(made: Ground, scope: str, capture_id: str = "cap_1") -> str:
    claims = Claims(subject=capture_id, scope=f"{scope}/share/x/", expires_s=time.time() + 600)
    return made.signer.sign(claims, REPLAY)


@dataclass
class Rig:
    """An edge, what a viewer gets there (the status, and the bytes), and its counts: hits, misses
    and bytes that are kept."""

    caches: ReplayCaches
    server: Server
    play: Callable[[str, str], Coroutine[Any, Any, tuple[int, bytes]]]
    counted: Callable[[], Coroutine[Any, Any, tuple[int, int, int]]]
    made: Ground


def real(made: Ground) -> Rig:
    edge = made.start("edge-pe1-1", "edge", "127.0.9.41", more=["--replay-cache-mb", "8"])

    async def play(word: str, name: str) -> tuple[int, bytes]:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            answer = await client.get(f"{edge.http}/replay/{word}/{name}")
            assert answer.headers["access-control-allow-origin"] == "*"
            return answer.status_code, answer.content

    async def counted() -> tuple[int, int, int]:
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"{edge.control}/metrics")).text
        found = dict(re.findall(r"^umbel_media_replay_(\w+) ([0-9.e+]+)$", text, re.M))
        hits, misses = (int(float(found[f"{name}_total"])) for name in ("hits", "misses"))
        return hits, misses, int(float(found["kept_bytes"]))

    return Rig(ReplayClient(), edge.server, play, counted, made)


def fake(made: Ground) -> Rig:
    caches = FakeReplays(SystemClock())
    server = Server(function_id="edge-pe1-1", address="127.0.9.41", control_port=1, secret="x")

    async def play(word: str, name: str) -> tuple[int, bytes]:
        cache = caches.at(server.function_id)
        claims = Claims(subject="cap_1", scope=made_scopes[word], expires_s=2e9)
        try:
            number = int(name.partition("-")[2].partition(".")[0])
            piece = Piece(capture_id="cap_1", kind=name.partition("-")[0], number=number)
            reading = await cache.open(grants.parse(claims, word), piece)
        except tuple(STATUS) as error:
            return STATUS[type(error)], b""
        try:
            return 200, b"".join([chunk async for chunk in cache.read(reading)])
        finally:
            cache.close(reading)

    async def counted() -> tuple[int, int, int]:
        cache = caches.at(server.function_id)
        return cache.counts.hits, cache.counts.misses, cache.kept_bytes

    return Rig(caches, server, play, counted, made)


made_scopes: dict[str, str] = {}


def granted(rig: Rig, scope: str = "/") -> str:
    word = token(rig.made, scope)
    made_scopes[word] = f"{scope}/share/x/"
    return word


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.lab)])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    with ground(tmp_path) as made:
        rig = fake(made) if request.param == "fake" else real(made)
        try:
            yield rig
        finally:
            await rig.caches.close()
            if isinstance(rig.caches, FakeReplays):
                rig.caches.lose(rig.server.function_id)


async def test_a_piece_is_asked_for_once_and_kept(rig: Rig) -> None:
    words = [granted(rig, f"/{90 + number}.0") for number in range(5)]
    waiting = [asyncio.create_task(rig.play(word, FIRST.name)) for word in words]
    wanted: list[Piece] = []
    used: set[str] = set()
    # A grant that is new is reported at once: after that, all five wait for the piece.
    while used != set(words):
        report = await rig.caches.sync(rig.server, PLENTY)
        wanted += report.wanted
        used |= set(report.used)
    assert wanted == [FIRST]
    await rig.caches.put(rig.server, FIRST, Span(began_s=10.0, ended_s=14.0), BODY)
    assert await asyncio.gather(*waiting) == [(200, BODY)] * 5
    late = granted(rig)
    assert await rig.play(late, FIRST.name) == (200, BODY)
    report = await rig.caches.sync(rig.server, PLENTY)
    assert report.captures == ("cap_1",)
    assert await rig.counted() == (1, 5, len(BODY))
    assert report.used == (late,)


async def test_what_does_not_exist_is_said(rig: Rig) -> None:
    for is_unknown, status in ((True, 404), (False, 503)):
        waiting = asyncio.create_task(rig.play(granted(rig), FIRST.name))
        while FIRST not in (await rig.caches.sync(rig.server, PLENTY)).wanted:
            pass
        await rig.caches.refuse(rig.server, FIRST, is_unknown=is_unknown)
        assert (await waiting)[0] == status


async def test_orders_are_kept(rig: Rig) -> None:
    word, part = granted(rig), granted(rig, "11.0/12.0")
    early = granted(rig, "/10.0")
    await rig.caches.put(rig.server, FIRST, Span(began_s=10.0, ended_s=14.0), BODY)
    assert (await rig.play(word, FIRST.name))[0] == 503, "nothing may be sent yet"
    assert set((await rig.caches.sync(rig.server, PLENTY)).used) == {word}
    assert (await rig.play(part, FIRST.name))[0] == 200
    assert (await rig.play(early, FIRST.name))[0] == 404, "another part of the capture"
    ended = replace(PLENTY, ended=(grants.id_of(part),))
    await rig.caches.sync(rig.server, ended)
    assert (await rig.play(part, FIRST.name))[0] == 403
    assert (await rig.play(word, FIRST.name))[0] == 200
    report = await rig.caches.sync(rig.server, replace(PLENTY, dropped=("cap_1",)))
    assert report.captures == ()
    assert (await rig.counted())[2] == 0


@pytest.mark.lab
@pytest.mark.parametrize("named", ["", "mine"])
async def test_pieces_are_kept_where_the_function_keeps_files(tmp_path: Path, named: str) -> None:
    """And not in /tmp, which is memory on many machines."""
    more = ["--replay-cache-mb", "8"]
    expected = tmp_path / named
    if named:
        expected.mkdir()
        more += ["--replay-cache-folder", str(expected)]
    with ground(tmp_path) as made:
        edge = made.start("edge-pe1-1", "edge", "127.0.9.43", more=more)
        client = ReplayClient()
        await client.put(edge.server, FIRST, Span(), BODY)
        links = Path(f"/proc/{edge.process.pid}/fd").iterdir()
        opened = [link.readlink() for link in links if int(link.name) > 2]
        assert [one.parent for one in opened if one.name.endswith(" (deleted)")] == [expected]
        await client.close()


@pytest.mark.lab
async def test_an_edge_takes_nothing_from_strangers(tmp_path: Path) -> None:
    with ground(tmp_path) as made:
        edge = made.start("edge-pe1-1", "edge", "127.0.9.42", more=["--replay-cache-mb", "8"])
        client = ReplayClient()
        wrong = replace(edge.server, secret="wrong")
        with pytest.raises(Unavailable):
            await client.put(wrong, FIRST, Span(), BODY)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            for given in ({}, {"Authorization": "Bearer wrong"}):
                url = f"{edge.control}/replays/cap_1/{FIRST.name}"
                assert (await http.put(url, content=BODY, headers=given)).status_code == 401
                assert (await http.delete(url, headers=given)).status_code == 401
                sent = await http.post(f"{edge.control}/replays", content=b"{}", headers=given)
                assert sent.status_code == 401
            mine = {"Authorization": f"Bearer {edge.server.secret}"}
            for content, status in ((b"{}", 400), (b"x" * 600_000, 413)):
                sent = await http.post(f"{edge.control}/replays", content=content, headers=mine)
                assert sent.status_code == status
            strange = f"{edge.control}/replays/cap_1/{FIRST.name}?began_s=nan&ended_s=1"
            assert (await http.put(strange, content=BODY, headers=mine)).status_code == 400
            assert (await http.put(f"{edge.http}/replays/cap_1/x", content=b"")).status_code == 404
        assert (await client.sync(edge.server, PLENTY)).captures == ()
        await client.close()
        forwarder = made.start("fwd-pe1-1", "forwarder", "127.0.9.43")
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            answer = await http.get(f"{forwarder.http}/replay/{token(made, '/')}/{FIRST.name}")
            assert answer.status_code == 503, "only edges keep anything"
