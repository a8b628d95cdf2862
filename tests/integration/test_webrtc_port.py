"""The port: many clients on one socket, told apart, and forgotten without a trace."""

import asyncio
import gc
import tracemalloc
from pathlib import Path

import pytest

from support.clocks import SetClock
from support.h264 import Source
from support.webrtc_client import H264_TYPE, Client
from support.webrtc_lab import until
from support.webrtc_udp import UdpClient
from support.webrtc_wire import CLIENT, Collected
from umbel.media.io.webrtc_port import UnknownResource, WebRtcPort
from umbel.media.rtp.arrivals import Arrived
from umbel.media.rtp.errors import MalformedSdp, UnsupportedCodec
from umbel.media.rtp.packet import RtpPacket
from umbel.media.rtp.stream import LiveStream
from umbel.media.webrtc.reports import PublishPhase, PublishState


class Watcher:
    """A viewer on a real socket."""

    def __init__(self, port: WebRtcPort, stream: LiveStream) -> None:
        self.client = Client(CLIENT)
        self.ended: list[str] = []
        self.answer = port.watch(self.client.offer(), stream, session="s", on_end=self.ended.append)
        self.client.accept(self.answer.sdp)
        self.udp = UdpClient(self.client, (port.address, port.port))

    async def connect(self) -> None:
        self.udp.check()
        await until(lambda: self.client.srtp is not None)


async def test_each_viewer_gets_the_stream_and_its_own_numbers() -> None:
    port = await WebRtcPort.open("127.0.0.1")
    stream, source = LiveStream(), Source()
    stream.packets(source.picture(), 0.0)
    watchers = [Watcher(port, stream) for _ in range(3)]
    try:
        await asyncio.gather(*[one.connect() for one in watchers])
        await until(lambda: all(len(one.client.packets) == 4 for one in watchers))
        for _ in range(10):
            stream.packets([*source.picture(), *source.sound()], 0.1)
        await until(lambda: all(len(one.client.packets) == 44 for one in watchers))
        await until(lambda: all(one.state == "connected" for one in port.stats()))
        assert [one.packets for one in port.stats()] == [44, 44, 44]
        assert {one.session for one in port.stats()} == {"s"}
        port.delete(watchers[0].answer.resource)
        assert watchers[0].ended == ["deleted"]
        dtls = watchers[0].client.dtls
        await until(lambda: dtls is not None and dtls.closed)
        with pytest.raises(UnknownResource):
            port.delete(watchers[0].answer.resource)
    finally:
        for one in watchers:
            one.udp.close()
        await port.close()
    assert watchers[1].ended == ["deleted"]


async def test_unequal_packets_of_one_batch_arrive_whole_and_in_order() -> None:
    port = await WebRtcPort.open("127.0.0.1")
    stream = LiveStream()
    watcher = Watcher(port, stream)
    try:
        await watcher.connect()
        await until(lambda: port.stats()[0].state == "connected")
        sizes = [900] * 70 + [400, 900, 900, 901, 30, 30, 30, 29, 1200]
        batch = [
            RtpPacket(
                payload_type=96, marker=False, sequence=at, timestamp=1, ssrc=1, payload=bytes(size)
            ).build()
            for at, size in enumerate(sizes, 1)
        ]
        stream.packets(batch, 0.0)
        await until(lambda: len(watcher.client.packets) == len(sizes))
        assert [len(one.payload) for one in watcher.client.packets] == sizes
    finally:
        watcher.udp.close()
        await port.close()


async def test_bad_offers_and_strangers_leave_nothing_behind() -> None:
    port = await WebRtcPort.open("127.0.0.1")
    stream = LiveStream()
    try:
        with pytest.raises(MalformedSdp):
            port.watch("hello", stream, session="s", on_end=print)
        with pytest.raises(UnsupportedCodec):
            offer = Client(CLIENT).offer().replace("H264", "H265")
            port.watch(offer, stream, session="s", on_end=print)
        assert port.stats() == ()
        with pytest.raises(UnknownResource):
            port.trickle("nobody", "a=mid:0\r\n")
    finally:
        await port.close()


async def test_a_trickled_restart_gets_new_credentials_and_media_goes_on() -> None:
    port = await WebRtcPort.open("127.0.0.1")
    stream, source = LiveStream(), Source()
    watcher = Watcher(port, stream)
    try:
        await watcher.connect()
        same = f"a=ice-ufrag:{watcher.client.credentials.ufrag}\r\na=ice-pwd:{'p' * 24}\r\n"
        assert port.trickle(watcher.answer.resource, same) is None
        watcher.client.credentials = type(watcher.client.credentials).create()
        fresh = f"a=ice-ufrag:{watcher.client.credentials.ufrag}\r\na=ice-pwd:{'p' * 24}\r\n"
        answer = port.trickle(watcher.answer.resource, fresh)
        assert answer is not None
        lines = dict(line.split(":", 1) for line in answer.split("\r\n") if ":" in line)
        assert watcher.client.remote is not None
        object.__setattr__(watcher.client.remote, "ufrag", lines["a=ice-ufrag"])
        object.__setattr__(watcher.client.remote, "password", lines["a=ice-pwd"])
        answered = watcher.client.answered
        watcher.udp.check()
        await until(lambda: watcher.client.answered == answered + 1)
        stream.packets(source.picture(), 0.0)
        await until(lambda: len(watcher.client.packets) == 4)
    finally:
        watcher.udp.close()
        await port.close()


async def test_a_publishers_phases_are_told_once() -> None:
    port = await WebRtcPort.open("127.0.0.1")
    sink, states = Collected(), list[PublishState]()
    client = Client(CLIENT, direction="sendonly")
    answer = port.publish(client.offer(), sink, on_state=states.append)
    client.accept(answer.sdp)
    udp = UdpClient(client, (port.address, port.port))
    try:
        udp.check()
        await until(lambda: len(states) == 1 and client.srtp is not None)
        for sequence in (0, 1, 3):
            client.send_rtp(
                RtpPacket(
                    payload_type=H264_TYPE,
                    marker=True,
                    sequence=sequence,
                    timestamp=sequence,
                    ssrc=1,
                    payload=b"\x61",
                )
            )
        udp.flush()
        await until(lambda: len(sink.all) == 3)
        assert port.arrived(answer.resource) == Arrived(expected=4, lost=1)
        port.delete(answer.resource)
        assert port.arrived(answer.resource) == Arrived()
        phases = [PublishPhase.CONNECTED, PublishPhase.FLOWING, PublishPhase.ENDED]
        assert [one.phase for one in states] == phases
        assert {(one.video, one.audio) for one in states} == {("H264", "OPUS")}
        assert states[-1].reason == "deleted"
    finally:
        udp.close()
        await port.close()


async def test_a_client_that_never_comes_is_forgotten() -> None:
    clock = SetClock(50.0)
    port = await WebRtcPort.open("127.0.0.1", clock=clock)
    ended: list[str] = []
    other = asyncio.Event()
    try:
        port.watch(Client(CLIENT).offer(), LiveStream(), session="s", on_end=ended.append)
        clock.at_s += 29
        port.watch(Client(CLIENT).offer(), LiveStream(), session="t", on_end=lambda _: other.set())
        assert len(port.stats()) == 2
        clock.at_s += 2
        await until(lambda: len(port.stats()) == 1)
        assert ended == ["no check came for 30 s"]
        assert not other.is_set()
    finally:
        await port.close()


def files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def kept() -> int:
    """Viewers, and what gives streams to them."""
    gc.collect()
    return sum(type(one).__name__ in ("Viewer", "_Fan") for one in gc.get_objects())


async def test_two_hundred_clients_leave_no_memory_and_no_descriptors_behind() -> None:
    port = await WebRtcPort.open("127.0.0.1")
    stream, source = LiveStream(), Source()

    async def come_and_go(count: int) -> None:
        for at in range(count):
            watcher = Watcher(port, stream)
            await watcher.connect()
            await until(lambda: port.stats()[0].state == "connected")
            stream.packets(source.picture(), 0.0)
            if at % 2:
                port.delete(watcher.answer.resource)
            else:
                assert watcher.client.dtls is not None
                watcher.client.outbox += watcher.client.dtls.close()
                watcher.udp.flush()
                await until(lambda: port.stats() == ())
            watcher.udp.close()

    ours = tracemalloc.Filter(inclusive=True, filename_pattern="*/umbel/media/*")
    try:
        await come_and_go(20)
        before = files(), kept()
        tracemalloc.start()
        held = tracemalloc.take_snapshot().filter_traces([ours])
        await come_and_go(200)
        assert (files(), kept()) == before
        grown = tracemalloc.take_snapshot().filter_traces([ours]).compare_to(held, "filename")
        # 200 pictures of the stream itself stay in its history: 130 kB.
        assert sum(one.size_diff for one in grown) < 400_000
    finally:
        tracemalloc.stop()
        await port.close()
