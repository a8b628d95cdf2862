"""A VP8 rendition for real: H.264 in, VP8 out, for browsers without H.264 in WebRTC."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from support import hls_lab, webrtc_peer
from support.ingest_lab import Collector
from support.media_server import ground, key_hash
from support.waiting import until
from support.webrtc_peer import Watcher
from umbel.kit.clock import SystemClock
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.model import (
    VIDEO_CLOCK_HZ,
    PayloadType,
    StreamRole,
    StreamSpec,
    Target,
    VideoCodec,
)
from umbel.media.rtp import vp8
from umbel.media.rtp.packet import RtpPacket
from umbel.media.wire.receiver import UdpReceiver
from umbel.media.workers.inside import gstreamer
from umbel.media.workers.inside.gstreamer import Callbacks, GstSample, Pad, Pipeline
from umbel.media.workers.pool import WorkerPool
from umbel.media.workers.rendition import Transcoding

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]

KEY = "ev1.correct-horse"
NAME = "ev1-vp8"
HERE = "127.0.63.1"
WITHIN_S = 60.0
_DECODER = (
    "appsrc name=in format=time"
    " caps=application/x-rtp,media=video,clock-rate=90000,encoding-name=VP8,payload=97"
    " ! rtpvp8depay ! vp8dec ! video/x-raw ! " + gstreamer.sink("out")
)


def decoded(packets: Sequence[RtpPacket]) -> tuple[int, set[tuple[int, int]]]:
    """How many pictures GStreamer makes of these packets, and their sizes."""
    pictures: list[GstSample] = []
    sizes: set[tuple[int, int]] = set()
    problems: list[str] = []

    def note(_sink: str, _text: str, pad: Pad) -> None:
        sizes.add(pad.size)

    gstreamer.start()
    pipeline = Pipeline(
        _DECODER,
        Callbacks(on_sample=pictures.append, on_problem=problems.append, on_caps=note),
    )
    pipeline.play()
    try:
        first = packets[0].timestamp
        for packet in packets:
            ticks = (packet.timestamp - first) & 0xFFFFFFFF
            pipeline.push("in", packet.build(), ticks * 1_000_000_000 // VIDEO_CLOCK_HZ)
        pipeline.finish(WITHIN_S)
    finally:
        pipeline.stop()
    assert problems == []
    return len(pictures), sizes


def key_times(sink: Collector) -> list[float]:
    """When the key pictures are to be shown, in seconds."""
    packets = sink.rtp(PayloadType.VP8)
    return [
        ((one.timestamp - packets[0].timestamp) & 0xFFFFFFFF) / VIDEO_CLOCK_HZ
        for one in packets
        if vp8.scan(one.payload).key_slice
    ]


def key_intervals(sink: Collector) -> list[float]:
    return [later - before for before, later in itertools.pairwise(key_times(sink))]


@asynccontextmanager
async def transcoding(height: int) -> AsyncIterator[tuple[Transcoding, Collector, int]]:
    """A transcoding to VP8, what comes out, and the port for what goes in."""
    sink, workers = Collector(), WorkerPool(SystemClock())
    made = Transcoding(NAME, height, sink, workers, VideoCodec.VP8)
    port = await UdpReceiver.open(HERE)
    port.attach(made)
    try:
        yield made, sink, port.port
    finally:
        port.close()
        await made.close()
        await workers.close()


@pytest.mark.parametrize(("height", "size"), [(720, (320, 180)), (90, (160, 90))])
async def test_h264_becomes_vp8_that_gstreamer_decodes(height: int, size: tuple[int, int]) -> None:
    async with (
        transcoding(height) as (_, sink, port),
        hls_lab.process(*hls_lab.publisher(port, 60, address=HERE)),
    ):

        async def pictures() -> int:
            return sink.frames(PayloadType.VP8)

        async def sounds() -> int:
            return len(sink.rtp(PayloadType.OPUS))

        await until(pictures, lambda count: count >= 60, within_s=WITHIN_S)
        await until(sounds, within_s=WITHIN_S)
    assert sink.rtp(PayloadType.H264) == []
    packets = sink.rtp(PayloadType.VP8)
    assert vp8.scan(packets[0].payload).key_slice
    assert len(sink.ssrcs(PayloadType.VP8)) == 1
    last = max(index for index, item in enumerate(packets) if item.marker)
    count, sizes = decoded(packets[: last + 1])
    assert sizes == {size}
    assert count == sum(item.marker for item in packets)


async def test_a_key_picture_comes_when_it_is_asked_for() -> None:
    async with (
        transcoding(90) as (made, sink, port),
        hls_lab.process(*hls_lab.publisher(port, 120, address=HERE)),
    ):

        async def intervals() -> list[float]:
            return key_intervals(sink)

        # By itself the encoder makes one after 1.8 s.
        own = await until(intervals, lambda found: len(found) >= 2, within_s=WITHIN_S)
        assert min(own) >= 1.8
        made.request_picture(SystemClock().monotonic_s())
        await until(intervals, lambda found: min(found) < 1.7, within_s=WITHIN_S)


async def test_an_edge_serves_vp8_by_whep_before_the_first_packet_and_cuts_no_hls(
    tmp_path: Path,
) -> None:
    plane = JsonRpcMedia()
    with ground(tmp_path) as made, webrtc_peer.on_loopback():
        acquirer = made.start("acq", "acquirer", "127.0.63.2")
        maker = made.start("trc", "transcoder", "127.0.63.3")
        edge = made.start("edge", "edge", "127.0.63.4")
        try:
            served = StreamSpec(stream=NAME, role=StreamRole.EDGE, codec=VideoCodec.VP8)
            leaf = await plane.ensure(edge.server, served)
            assert dict(leaf.urls).keys() == {"whep"}
            rendition = StreamSpec(
                stream=NAME,
                role=StreamRole.TRANSCODER,
                hops=(Target(address="127.0.63.4", port=leaf.port),),
                height=720,
                codec=VideoCodec.VP8,
            )
            taker = await plane.ensure(maker.server, rendition)
            source = StreamSpec(
                stream="ev1",
                role=StreamRole.ACQUIRER,
                hops=(Target(address="127.0.63.3", port=taker.port),),
                key_hashes=(key_hash(KEY),),
            )
            await plane.ensure(acquirer.server, source)
            async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
                token = made.token("session-1", NAME)
                watcher = Watcher(http, f"{edge.http}/whep/{NAME}", token)
                try:
                    await watcher.start()
                    assert watcher.response is not None
                    assert "VP8/90000" in watcher.response.text
                    assert "H264" not in watcher.response.text
                    rtmp = f"rtmp://127.0.63.2:{acquirer.ports['rtmp']}/live/{KEY}"
                    made.push("-f", "flv", rtmp)

                    async def frames() -> int:
                        return watcher.frames.get("video", 0)

                    await until(frames, lambda count: count >= 25, within_s=WITHIN_S)
                    assert watcher.sizes == {(320, 240)}
                finally:
                    await watcher.close()
                playlist = f"{edge.http}/hls/{NAME}/index.m3u8?token={token}"
                assert (await http.get(playlist)).status_code == 404
            # What is asked for again is not made again.
            again = await plane.ensure(edge.server, served)
            assert again.port == leaf.port
        finally:
            await plane.close()
