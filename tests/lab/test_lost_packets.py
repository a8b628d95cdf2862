"""Packets that are lost between functions are sent again, and viewers miss nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from av import VideoFrame

from support import webrtc_peer
from support.ingest_lab import Collector
from support.lossy import Lossy
from support.media_server import Ground, ground
from support.media_tree import Tree, spec
from support.waiting import until
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.model import StreamRole, Target
from umbel.media.wire.receiver import UdpReceiver

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(180)]

FRAME = 90_000 // 25
KEY_INTERVAL_S = 20
"""So long that a viewer who had to wait for a key picture would not get on in these tests."""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Ground]:
    with ground(tmp_path) as opened:
        yield opened


@pytest.fixture
async def tree(made: Ground) -> AsyncIterator[Tree]:
    plane = JsonRpcMedia()
    yield Tree(
        ground=made,
        plane=plane,
        acquirer=made.start("acq-pe1-1", "acquirer", "127.0.9.11"),
        forwarder=made.start("fwd-p2-1", "forwarder", "127.0.9.12"),
        edge=made.start("edge-pe4-1", "edge", "127.0.9.13"),
    )
    await plane.close()


def push(tree: Tree) -> None:
    port = tree.acquirer.ports["rtmp"]
    url = f"rtmp://{tree.acquirer.server.address}:{port}/live/ev1.correct-horse"
    tree.ground.push("-g", str(25 * KEY_INTERVAL_S), "-f", "flv", url)


@asynccontextmanager
async def watched(tree: Tree) -> AsyncIterator[list[tuple[int, float]]]:
    """The frames that a viewer decodes: their timestamps, and when."""
    frames: list[tuple[int, float]] = []

    def note(frame: VideoFrame) -> None:
        assert frame.pts is not None
        frames.append((frame.pts, asyncio.get_running_loop().time()))

    with webrtc_peer.on_loopback():
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            watcher = tree.watcher(http)
            watcher.on_frame = note
            try:
                await watcher.start()
                yield frames
            finally:
                await watcher.close()


async def count_of(frames: list[tuple[int, float]]) -> int:
    return len(frames)


def at_least(count: int) -> Callable[[int], bool]:
    return lambda seen: seen >= count


def missing(frames: list[tuple[int, float]]) -> list[tuple[int, int]]:
    """Where frames are missing, as the timestamps around each hole."""
    times = [time for time, _ in frames]
    return [(a, b) for a, b in pairwise(times) if b - a > FRAME]


def burst(number: int) -> bool:
    """Every seventh packet is lost, and sometimes several in a row."""
    return number % 7 == 3 or number % 90 < 5


async def until_sent_again(hop: Lossy) -> None:
    """What is lost until now comes: further packets are lost meanwhile."""
    lost = hop.lost - hop.came

    async def left() -> int:
        return len(lost - hop.came)

    await until(left, lambda count: count < 20)


async def test_what_two_hops_lose_is_sent_again_and_every_frame_arrives(tree: Tree) -> None:
    leaf = await tree.plane.ensure(tree.edge.server, spec(StreamRole.EDGE))
    below = Lossy(receiver=(tree.edge.server.address, leaf.port), loses=burst)
    await below.open("127.0.9.22")
    middle = await tree.plane.ensure(
        tree.forwarder.server, spec(StreamRole.FORWARDER, below.target)
    )
    above = Lossy(receiver=(tree.forwarder.server.address, middle.port), loses=burst)
    await above.open("127.0.9.21")
    await tree.plane.ensure(tree.acquirer.server, spec(StreamRole.ACQUIRER, above.target))
    try:
        push(tree)
        await tree.flows()
        async with watched(tree) as frames:
            await until(lambda: count_of(frames), at_least(10), within_s=30)
            del frames[:]  # it began with the pictures of the cache, which lie closer together
            await until(lambda: count_of(frames), at_least(150), within_s=30)
            assert missing(frames) == []
        for hop in (above, below):
            assert len(hop.lost) > 50
            await until_sent_again(hop)
    finally:
        above.close()
        below.close()


async def test_a_forwarders_death_costs_no_frame_and_no_wait_for_a_key_picture(
    tree: Tree,
) -> None:
    await tree.grow()
    push(tree)
    await tree.flows()
    leaf = await tree.at(tree.edge)
    to_leaf = Target(address=tree.edge.server.address, port=leaf.port)
    async with watched(tree) as frames:
        await until(lambda: count_of(frames), at_least(10), within_s=30)
        del frames[:]
        await until(lambda: count_of(frames), at_least(25), within_s=30)
        tree.forwarder.kill()
        seen = len(frames)
        # What was on its way is shown, and then nothing: so long the control plane may take.
        await until(lambda: silent_s(frames), lambda silence_s: silence_s >= 0.5, within_s=30)
        assert len(frames) < seen + 25
        await tree.plane.ensure(tree.acquirer.server, spec(StreamRole.ACQUIRER, to_leaf))
        await until(lambda: count_of(frames), at_least(len(frames) + 75), within_s=30)
        assert missing(frames) == []
        gap_s = max(after - before for (_, before), (_, after) in pairwise(frames))
        assert gap_s < KEY_INTERVAL_S / 4


async def test_what_a_transcoder_misses_is_sent_again_and_hardly_a_picture_is_left_out(
    made: Ground,
) -> None:
    plane, sink, listener = JsonRpcMedia(), Collector(), await UdpReceiver.open("127.0.9.1")
    listener.attach(sink)
    acquirer = made.start("acq", "acquirer", "127.0.9.11")
    maker = made.start("trc", "transcoder", "127.0.9.14")
    to_listener = Target(address=listener.address, port=listener.port)
    rendition = replace(spec(StreamRole.TRANSCODER, to_listener), stream="ev1-180p", height=180)
    port = (await plane.ensure(maker.server, rendition)).port
    hop = Lossy(receiver=(maker.server.address, port), loses=burst)
    await hop.open("127.0.9.21")
    await plane.ensure(acquirer.server, spec(StreamRole.ACQUIRER, hop.target))
    try:
        url = f"rtmp://127.0.9.11:{acquirer.ports['rtmp']}/live/ev1.correct-horse"
        made.push("-g", str(25 * KEY_INTERVAL_S), "-f", "flv", url)

        async def pictures() -> list[int]:
            return [item.timestamp for item in sink.rtp(96) if item.marker]

        times = await until(pictures, lambda found: len(found) >= 160, within_s=90)
        del times[:10]  # its worker began with what had come until then
        # Without requests there were nine gaps; a request that waits for a processor may be late.
        assert len([(a, b) for a, b in pairwise(times) if b - a != FRAME]) <= 2
        assert len(hop.lost) > 50
        await until_sent_again(hop)
    finally:
        hop.close()
        listener.close()
        await plane.close()


async def silent_s(frames: list[tuple[int, float]]) -> float:
    return asyncio.get_running_loop().time() - frames[-1][1]
