"""A new hop begins with pictures that were sent before, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from support import camera
from support.camera import Camera
from support.h264 import Source
from support.waiting import until
from umbel.media.io.hls_stream import HlsStream
from umbel.media.rtp import packet
from umbel.media.wire.receiver import UdpReceiver
from umbel.media.wire.sender import UdpSender

GOP, FRAMES = 60, 150
"""Key pictures every two seconds, of which five have passed."""


class Sink:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.came: list[bytes] = []

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        self.came += batch


@asynccontextmanager
async def hop() -> AsyncIterator[tuple[UdpSender, UdpReceiver]]:
    """A sender that remembers what it sent, and a receiver that it has no hop to yet."""
    root, receiver = UdpSender("127.0.0.1", remembers=True), await UdpReceiver.open("127.0.0.1")
    try:
        yield root, receiver
    finally:
        root.close()
        receiver.close()


def connect(root: UdpSender, receiver: UdpReceiver, now_s: float) -> None:
    """The hop is new: it begins with what was sent before."""
    root.set_hops([(receiver.address, receiver.port)])
    root.burst([(receiver.address, receiver.port)], now_s)


async def until_came(sink: Sink, count: int = 1) -> list[bytes]:
    """What came, once it is so much."""

    async def came() -> list[bytes]:
        return sink.came

    return await until(came, lambda found: len(found) >= count)


def before(root: UdpSender, now_s: float) -> list[list[bytes]]:
    """A stream that the sender had before it had a hop: its pictures with what came with them."""
    source = Source(gop=GOP)
    sent = []
    for _ in range(FRAMES):
        sent.append([*source.picture(), *source.sound(), *source.sound()])
        root.packets(sent[-1], now_s)
    return sent


async def test_a_new_hop_begins_two_key_pictures_back_and_goes_on_without_a_gap() -> None:
    async with hop() as (root, receiver):
        sink, now_s = Sink(), asyncio.get_running_loop().time()
        receiver.attach(sink)
        sent = before(root, now_s)
        connect(root, receiver, now_s)
        new = Source(sequence=packet.sequence_of(sent[-1][-3]) + 1, frame=FRAMES).picture()
        root.packets(new, now_s)
        wanted = [data for one in sent[FRAMES - FRAMES % GOP - GOP :] for data in one] + new
        assert await until_came(sink, len(wanted)) == wanted
        (stats,) = root.hop_stats()
        assert (stats.packets, stats.resent, stats.dropped) == (len(new), len(wanted) - len(new), 0)


async def test_what_was_sent_before_a_pause_is_no_beginning() -> None:
    async with hop() as (root, receiver):
        sink, now_s = Sink(), asyncio.get_running_loop().time()
        receiver.attach(sink)
        before(root, now_s - 60)
        connect(root, receiver, now_s)
        (last,) = Source().sound()
        root.packets([last], now_s)
        assert await until_came(sink) == [last]


async def test_an_edge_that_is_new_has_a_playlist_at_once() -> None:
    async with hop() as (root, receiver):
        hls, now_s = HlsStream(), asyncio.get_running_loop().time()
        receiver.attach(hls)
        made = Camera().video(camera.pictures(FRAMES / 30)).audio(camera.sounds(FRAMES / 30))
        for _, data in made.timed():
            root.packets([data], now_s)
        connect(root, receiver, now_s)
        try:
            # Nothing more is sent: it is made of what was there.
            answer = await hls.get("media.m3u8", {})
        finally:
            hls.close()
            await hls.until_closed()
        text = answer.body.decode()
        assert answer.status == 200
        assert "#EXTINF:2.0" in text
        assert "#EXT-X-INDEPENDENT-SEGMENTS" in text


async def test_a_burst_goes_on_from_a_forwarder_that_had_no_hop_when_it_came() -> None:
    async with hop() as (root, forwarder), hop() as (below, edge):
        sink, now_s = Sink(), asyncio.get_running_loop().time()
        forwarder.attach(below)
        forwarder.attach(sink)
        sent = before(root, now_s)
        wanted = [data for one in sent[FRAMES - FRAMES % GOP - GOP :] for data in one]
        connect(root, forwarder, now_s)
        assert await until_came(sink, len(wanted)) == wanted
        forwarder.detach(sink)
        sink.came = []
        edge.attach(sink)
        connect(below, edge, now_s)  # until here a busy machine may take longer than a pause
        assert await until_came(sink, len(wanted)) == wanted
