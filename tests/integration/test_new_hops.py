"""A new hop begins with pictures that were sent before, over real sockets."""

import asyncio
from collections.abc import Sequence

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


def before(root: UdpSender, now_s: float) -> list[list[bytes]]:
    """A stream that the sender had before it had a hop: its pictures with what came with them."""
    source = Source(gop=GOP)
    sent = []
    for _ in range(FRAMES):
        sent.append([*source.picture(), *source.sound(), *source.sound()])
        root.packets(sent[-1], now_s)
    return sent


async def test_a_new_hop_begins_two_key_pictures_back_and_goes_on_without_a_gap() -> None:
    root, receiver, sink = (
        UdpSender("127.0.0.1", remembers=True),
        await UdpReceiver.open("127.0.0.1"),
        Sink(),
    )
    receiver.attach(sink)
    now_s = asyncio.get_running_loop().time()
    sent = before(root, now_s)
    try:
        root.set_hops([(receiver.address, receiver.port)])
        root.burst([(receiver.address, receiver.port)], now_s)
        new = Source(sequence=packet.sequence_of(sent[-1][-3]) + 1, frame=FRAMES).picture()
        root.packets(new, now_s)
        wanted = [data for one in sent[FRAMES - FRAMES % GOP - GOP :] for data in one] + new

        async def came() -> list[bytes]:
            return sink.came

        assert await until(came, lambda found: len(found) >= len(wanted)) == wanted
        (stats,) = root.hop_stats()
        assert (stats.packets, stats.resent, stats.dropped) == (len(new), len(wanted) - len(new), 0)
    finally:
        root.close()
        receiver.close()


async def test_what_was_sent_before_a_pause_is_no_beginning() -> None:
    root, receiver, sink = (
        UdpSender("127.0.0.1", remembers=True),
        await UdpReceiver.open("127.0.0.1"),
        Sink(),
    )
    receiver.attach(sink)
    now_s = asyncio.get_running_loop().time()
    before(root, now_s - 60)
    try:
        root.set_hops([(receiver.address, receiver.port)])
        root.burst([(receiver.address, receiver.port)], now_s)
        (last,) = Source().sound()
        root.packets([last], now_s)

        async def came() -> list[bytes]:
            return sink.came

        assert await until(came) == [last]
    finally:
        root.close()
        receiver.close()


async def test_an_edge_that_is_new_has_a_playlist_at_once() -> None:
    root, receiver, hls = (
        UdpSender("127.0.0.1", remembers=True),
        await UdpReceiver.open("127.0.0.1"),
        HlsStream(),
    )
    receiver.attach(hls)
    now_s = asyncio.get_running_loop().time()
    made = Camera().video(camera.pictures(FRAMES / 30)).audio(camera.sounds(FRAMES / 30))
    for _, data in made.timed():
        root.packets([data], now_s)
    try:
        root.set_hops([(receiver.address, receiver.port)])
        root.burst([(receiver.address, receiver.port)], now_s)
        # Nothing more is sent: it is made of what was there.
        answer = await hls.get("media.m3u8", {})
        text = answer.body.decode()
        assert answer.status == 200
        assert "#EXTINF:2.0" in text
        assert "#EXT-X-INDEPENDENT-SEGMENTS" in text
    finally:
        root.close()
        receiver.close()
        hls.close()
        await hls.until_closed()


async def test_a_burst_goes_on_from_a_forwarder_that_had_no_hop_when_it_came() -> None:
    root, below = (UdpSender("127.0.0.1", remembers=True) for _ in range(2))
    forwarder, edge = [await UdpReceiver.open("127.0.0.1") for _ in range(2)]
    sink = Sink()
    forwarder.attach(below)
    forwarder.attach(sink)
    now_s = asyncio.get_running_loop().time()
    sent = before(root, now_s)
    wanted = [data for one in sent[FRAMES - FRAMES % GOP - GOP :] for data in one]
    try:
        root.set_hops([(forwarder.address, forwarder.port)])
        root.burst([(forwarder.address, forwarder.port)], now_s)

        async def came() -> list[bytes]:
            return sink.came

        assert await until(came, lambda found: len(found) >= len(wanted)) == wanted
        forwarder.detach(sink)
        sink.came = []
        edge.attach(sink)
        below.set_hops([(edge.address, edge.port)])
        below.burst([(edge.address, edge.port)], asyncio.get_running_loop().time())
        assert await until(came, lambda found: len(found) >= len(wanted)) == wanted
    finally:
        for one in (root, below, forwarder, edge):
            one.close()
