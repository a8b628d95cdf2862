"""Renditions for real: 720 lines in, 360 out, whatever dies or begins anew on the way."""

import operator
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from support import hls_lab, webrtc_peer
from support.ingest_lab import (
    Collector,
    alive,
    children,
    decode_audio,
    decode_video,
    encode,
    nals,
    split,
)
from support.media_server import Ground, ground, key_hash
from support.waiting import until
from support.webrtc_peer import Watcher
from umbel.kit.clock import SystemClock
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.ingest.packer import VideoPacker
from umbel.media.model import StreamRole, StreamSpec, StreamState, Target
from umbel.media.rtp import h264, rtcp
from umbel.media.rtp.packet import RtpPacket
from umbel.media.rtp.sps import parse_sps
from umbel.media.wire.receiver import UdpReceiver
from umbel.media.workers import host
from umbel.media.workers.pool import WorkerPool
from umbel.media.workers.rendition import Transcoding

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]

KEY = "ev1.correct-horse"
NAME = "ev1-360p"
HERE = "127.0.62.1"
WITHIN_S = 40.0
# How many pictures a worker may hold or, while it starts, skip.
AHEAD = 8


def sizes(packets: list[RtpPacket]) -> set[tuple[int, int]]:
    """What the parameter sets in these packets say, in pixels."""
    sets = [item.payload for item in packets if item.payload[0] & 0x1F == h264.SPS]
    return {(found.width, found.height) for found in map(parse_sps, sets)}


async def pictures(sink: Collector, ssrc: int, count: int) -> list[RtpPacket]:
    """That source's packets, as soon as there are so many whole pictures from its start."""

    async def found() -> int:
        return sum(item.marker for item in sink.rtp(96, ssrc))

    await until(found, lambda number: number >= count, within_s=WITHIN_S)
    packets = sink.rtp(96, ssrc)
    last = max(index for index, item in enumerate(packets) if item.marker)
    return packets[: last + 1]


async def sounds(sink: Collector) -> int:
    """How many packets of sound came, of 20 ms each."""
    return len(sink.rtp(111))


async def source(sink: Collector, number: int) -> int:
    """The SSRC of the number-th video source."""

    async def found() -> list[int]:
        return sink.ssrcs(96)

    return (await until(found, lambda ssrcs: len(ssrcs) >= number, within_s=WITHIN_S))[number - 1]


# -- in a media server -----------------------------------------------------------------------


@dataclass
class Chain:
    """Acquirer -> transcoder -> edge, and a listener beside the edge."""

    ground: Ground
    plane: JsonRpcMedia
    sink: Collector
    listener: UdpReceiver

    async def grow(self) -> None:
        self.acquirer = self.ground.start("acq", "acquirer", "127.0.62.2")
        self.maker = self.ground.start("trc", "transcoder", "127.0.62.3")
        self.edge = self.ground.start("edge", "edge", "127.0.62.4")
        leaf = await self.plane.ensure(
            self.edge.server, StreamSpec(stream=NAME, role=StreamRole.EDGE)
        )
        hops = (
            Target(address="127.0.62.4", port=leaf.port),
            Target(address=self.listener.address, port=self.listener.port),
        )
        rendition = StreamSpec(stream=NAME, role=StreamRole.TRANSCODER, hops=hops, height=360)
        made = await self.plane.ensure(self.maker.server, rendition)
        acquired = StreamSpec(
            stream="ev1",
            role=StreamRole.ACQUIRER,
            hops=(Target(address="127.0.62.3", port=made.port),),
            key_hashes=(key_hash(KEY),),
        )
        await self.plane.ensure(self.acquirer.server, acquired)

    def push(self) -> None:
        port = self.acquirer.ports["rtmp"]
        self.ground.push(
            *("-vf", "scale=1280:720", "-b:v", "2M"),
            *("-f", "flv", f"rtmp://127.0.62.2:{port}/live/{KEY}"),
        )

    async def state(self) -> StreamState:
        return (await self.plane.observe(self.maker.server))[NAME]

    def workers(self) -> list[int]:
        return [pid for pid in children(self.maker.process.pid) if alive(pid)]


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    plane, sink = JsonRpcMedia(), Collector()
    listener = await UdpReceiver.open(HERE)
    listener.attach(sink)
    with ground(tmp_path) as made:
        try:
            yield Chain(made, plane, sink, listener)
        finally:
            await plane.close()
            listener.close()


async def test_720_lines_become_360_and_go_on(chain: Chain) -> None:
    await chain.grow()
    assert chain.workers() == []
    chain.push()
    first = await source(chain.sink, 1)
    packets = await pictures(chain.sink, first, 50)
    assert sizes(packets) == {(640, 360)}
    decoded = decode_video(nals(packets))
    assert {(frame.width, frame.height) for frame in decoded} == {(640, 360)}
    assert len(decoded) >= 49
    assert max(len(item.payload) for item in packets) <= 1200
    await until(partial(sounds, chain.sink), lambda count: count > 60, within_s=WITHIN_S)
    [sound] = chain.sink.ssrcs(111)
    assert decode_audio(chain.sink.rtp(111, sound)) > 48_000

    async def reported() -> set[int]:
        return {report.ssrc for data in chain.sink.reports() for report in rtcp.parse(data)}

    assert await until(reported, lambda found: len(found) == 2) == {first, sound}
    state = await until(chain.state, lambda s: s.flowing and s.mbps_out > 0)
    assert state.ingest is None

    [first_worker] = chain.workers()
    os.kill(first_worker, signal.SIGKILL)
    second = await source(chain.sink, 2)
    assert sizes(await pictures(chain.sink, second, 10)) == {(640, 360)}
    assert chain.workers() not in ([], [first_worker])

    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        with webrtc_peer.on_loopback():
            token = chain.ground.token("session-1", NAME)
            watcher = Watcher(http, f"{chain.edge.http}/whep/{NAME}", token)
            try:
                await watcher.start()

                async def frames() -> dict[str, int]:
                    return watcher.frames

                await until(frames, lambda f: {"video", "audio"} <= f.keys(), within_s=WITHIN_S)
                assert watcher.sizes == {(640, 360)}
            finally:
                await watcher.close()

    await chain.plane.remove(chain.maker.server, NAME)
    assert chain.workers() == []


# -- the driver alone ------------------------------------------------------------------------


@dataclass
class Bench:
    """A port with a transcoding behind it, and what comes out."""

    port: UdpReceiver
    made: Transcoding
    sink: Collector

    def publisher(self, *more: str) -> tuple[str, ...]:
        """An acquirer of its own: 320x180, new SSRCs each time."""
        return (*hls_lab.publisher(self.port.port, 60, address=HERE), *more)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    sink, workers = Collector(), WorkerPool(SystemClock())
    made = Transcoding(NAME, 360, sink, workers)
    port = await UdpReceiver.open(HERE)
    port.attach(made)
    try:
        yield Bench(port, made, sink)
    finally:
        port.close()
        await made.close()
        await workers.close()
        assert made.worker_pid == 0


async def test_a_source_that_begins_anew_is_followed(bench: Bench) -> None:
    before = children(os.getpid())
    async with hls_lab.process(*bench.publisher()):
        first = await source(bench.sink, 1)
        # Never larger than the source.
        assert sizes(await pictures(bench.sink, first, 10)) == {(320, 180)}
    bench.made.height = 90  # for whoever comes next
    async with hls_lab.process(*bench.publisher()):
        second = await source(bench.sink, 2)
        packets = await pictures(bench.sink, second, 10)
        assert sizes(packets) == {(160, 90)}
        assert len(decode_video(nals(packets))) >= 9
        bench.made.set_height(60)
        third = await source(bench.sink, 3)
        # 106.67 pixels wide: even, and the nearest.
        assert sizes(await pictures(bench.sink, third, 10)) == {(106, 60)}

        async def sources() -> list[int]:
            return bench.sink.ssrcs(111)

        [pid] = [pid for pid in children(os.getpid()) if pid not in before]
        assert pid == bench.made.worker_pid
        await until(sources, lambda found: len(found) == 3, within_s=WITHIN_S)
    await bench.made.close()
    assert not alive(pid)


async def elementary(path: Path, size: str) -> list[list[bytes]]:
    """Two seconds of pictures of that size, each as its NAL units."""
    coding = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-threads", "1", "-g", "25")
    picture = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", "-pix_fmt", "yuv420p")
    assert await encode(*picture, *coding, "-t", "2", "-f", "h264", str(path)) == 0
    units: list[list[bytes]] = [[]]
    for nal in split(path.read_bytes()):
        units[-1].append(nal)
        if nal[0] & 0x1F in (1, 5):
            units.append([])
    return units[:-1]


async def test_a_source_that_changes_its_size_keeps_its_worker(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As browsers do: the pictures shrink in the middle, with the same SSRC."""
    # What comes while the worker starts is kept here, whatever the kernel has room for.
    monkeypatch.setattr(host, "_BUFFER_BYTES", 32_768)
    bench.made.height = 120
    shrinking = await elementary(tmp_path / "large", "320x180")
    shrinking += await elementary(tmp_path / "small", "160x90")
    packer, clock = VideoPacker(ssrc=7, offset=0), SystemClock()

    async def came() -> int:
        return bench.sink.frames()

    for number, unit in enumerate(shrinking):
        # As fast as the worker encodes: in real time, a busy machine would lose pictures.
        await until(came, partial(operator.le, number - AHEAD), within_s=WITHIN_S)
        bench.made.packets(packer.packets(unit, number * 40_000_000), clock.monotonic_s())

    async def seen() -> set[tuple[int, int]]:
        return sizes(bench.sink.rtp(96))

    await until(seen, lambda found: found == {(214, 120), (160, 90)}, within_s=WITHIN_S)
    assert len(bench.sink.ssrcs(96)) == 1
    await until(came, lambda count: count >= len(shrinking) - AHEAD, within_s=WITHIN_S)


async def test_workers_that_keep_dying_are_rested_from(bench: Bench) -> None:
    killed = set(children(os.getpid()))

    async def started() -> list[int]:
        return [pid for pid in children(os.getpid()) if pid not in killed]

    with capture_logs() as logged:
        async with hls_lab.process(*bench.publisher()):
            for _ in range(5):
                [pid] = await until(started, within_s=WITHIN_S)
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            await pictures(bench.sink, await source(bench.sink, 1), 10)
    assert [entry["event"] for entry in logged].count("transcoding rests") == 1
    assert await started() == [bench.made.worker_pid]
