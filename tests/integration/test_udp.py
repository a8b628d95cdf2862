"""UDP ends on real sockets: everything arrives, in order, and one bad hop harms no other."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import uvloop

from support.waiting import until
from umbel.media.rtp.feedback import Feedback, PictureRequest
from umbel.media.rtp.hop_srtp import Protector, Unprotector
from umbel.media.rtp.packet import build_header
from umbel.media.wire.datagrams import MOST_BYTES
from umbel.media.wire.hops import AddressUnusable
from umbel.media.wire.receiver import PortTaken, UdpReceiver
from umbel.media.wire.sender import BadHop, UdpSender

HERE = "127.0.0.1"
SO_NO_CHECK = 11


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.batches = 0

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        assert now_s == asyncio.get_running_loop().time() or now_s > 0
        self.got += batch
        self.batches += 1


class Broken:
    """A sink that fails."""

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        raise ValueError("broken sink")


class Ends:
    """Opens receivers and senders, and closes them all."""

    def __init__(self) -> None:
        self._close: list[Callable[[], None]] = []

    async def receiver(self) -> tuple[UdpReceiver, Kept]:
        made, sink = await UdpReceiver.open(HERE), Kept()
        made.attach(sink)
        self._close.append(made.close)
        return made, sink

    def sender(self, *ports: int) -> UdpSender:
        made = UdpSender(HERE)
        self._close.append(made.close)
        made.set_hops((HERE, port) for port in ports)
        return made

    def socket(self) -> socket.socket:
        made = socket.socket(type=socket.SOCK_DGRAM)
        self._close.append(made.close)
        return made

    def close(self) -> None:
        for close in self._close:
            close()


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    made = Ends()
    yield made
    made.close()


def media(count: int, seed: int = 1) -> list[bytes]:
    """Packets like a stream's: bursts of one size with a shorter last one, and small ones."""
    noise = random.Random(seed)
    sizes = [noise.choice((1200, 1200, 1200, 1200, 700, 180, 1, 1500)) for _ in range(count)]
    return [noise.randbytes(size) for size in sizes]


async def arrived(sink: Kept, count: int) -> list[bytes]:
    async def number() -> int:
        return len(sink.got)

    await until(number, lambda have: have >= count)
    return sink.got


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def test_a_packet_given_is_a_packet_got(ends: Ends) -> None:
    receiver, sink = await ends.receiver()
    sent = media(300)
    sender = ends.sender(receiver.port)
    for first in range(0, 300, 60):
        sender.packets(sent[first : first + 60], now_s())
        await asyncio.sleep(0)
    assert await arrived(sink, 300) == sent
    assert receiver.address == HERE


@pytest.mark.parametrize("joined", [True, False])
async def test_a_chain_of_relays_changes_nothing(ends: Ends, joined: bool) -> None:
    first, seen = await ends.receiver()
    second, _ = await ends.receiver()
    last, sink = await ends.receiver()
    first.attach(ends.sender(second.port))
    second.attach(ends.sender(last.port))
    sent = media(200)
    source, feed = ends.socket(), ends.sender(first.port)
    source.connect((HERE, first.port))
    for number, data in enumerate(sent):
        if joined:
            if number % 10 == 0:
                feed.packets(sent[number : number + 10], now_s())
        else:
            source.send(data)
        if number % 20 == 19:
            await arrived(sink, number + 1)
    assert await arrived(sink, 200) == sent
    assert seen.got == sent


async def test_relays_pass_on_what_they_cannot_read(ends: Ends) -> None:
    first, seen = await ends.receiver()
    last, sink = await ends.receiver()
    first.attach(ends.sender(last.port))
    feed = ends.sender(first.port)
    key = bytes(range(32))
    feed.protector, last.unprotector = Protector(key, lambda: 1_790_000_000_000), Unprotector(key)
    sent = [build_header(96, n, n * 3000, 7) + b"a picture" * (1 + n % 100) for n in range(200)]
    stranger = ends.socket()
    stranger.connect((HERE, last.port))
    for number in range(0, 200, 20):
        stranger.send(sent[number])
        feed.packets(sent[number : number + 20], now_s())
        await arrived(sink, number + 20)
    assert sink.got == sent
    assert last.unprotector.refused == 10
    assert len(seen.got) == 200
    assert not any(b"picture" in data for data in seen.got)


async def test_every_hop_gets_everything(ends: Ends) -> None:
    entry, _ = await ends.receiver()
    leaves = [await ends.receiver() for _ in range(10)]
    entry.attach(ends.sender(*(leaf.port for leaf, _ in leaves)))
    sent = media(40)
    ends.sender(entry.port).packets(sent, now_s())
    for _, sink in leaves:
        assert await arrived(sink, 40) == sent


async def test_hops_change_while_it_runs(ends: Ends) -> None:
    (one, first), (two, second) = await ends.receiver(), await ends.receiver()
    sender = ends.sender(one.port)
    sender.packets([b"1"], 0.0)
    sender.set_hops([(HERE, one.port), (HERE, two.port), (HERE, two.port)])
    sender.packets([b"2"], 0.0)
    sender.set_hops([(HERE, two.port)])
    sender.packets([b"3"], 0.0)
    assert await arrived(first, 2) == [b"1", b"2"]
    assert await arrived(second, 2) == [b"2", b"3"]
    assert sender.hops == ((HERE, two.port),)
    (stats,) = sender.hop_stats()
    assert (stats.packets, stats.dropped) == (2, 0)
    sender.set_hops([])
    sender.packets([b"4"], 0.0)
    assert sender.stats(0.0).packets == 4


async def test_a_bad_hop_changes_nothing(ends: Ends) -> None:
    receiver, _ = await ends.receiver()
    sender = ends.sender(receiver.port)
    for bad in (("node-1", 5000), (HERE, 0), (HERE, 70_000), ("", 5000)):
        with pytest.raises(BadHop):
            sender.set_hops([(HERE, 9), bad])
        assert sender.hops == ((HERE, receiver.port),)


async def test_a_hop_that_refuses_harms_no_other(ends: Ends) -> None:
    receiver, sink = await ends.receiver()
    gone = ends.socket()
    gone.bind((HERE, 0))
    port: int = gone.getsockname()[1]
    gone.close()
    sender = ends.sender(port, receiver.port)
    sent = media(200)
    for first in range(0, 200, 20):
        sender.packets(sent[first : first + 20], now_s())
        await arrived(sink, first + 20)
    assert await arrived(sink, 200) == sent
    refusing, good = sender.hop_stats()
    assert refusing.refused > 0
    assert (good.packets, good.dropped, good.refused) == (200, 0, 0)


async def test_a_hop_without_a_path_harms_no_other_and_is_tried_again(ends: Ends) -> None:
    receiver, sink = await ends.receiver()
    sender = ends.sender()
    # No address of this machine can reach it from the loopback address the sender is bound to.
    sender.set_hops([("203.0.113.9", 5000), (HERE, receiver.port)])
    sent = media(20)
    sender.packets(sent, 10.0)
    sender.packets([b"later"], 12.0)
    assert await arrived(sink, 21) == [*sent, b"later"]
    lost, good = sender.hop_stats()
    assert (lost.packets, lost.dropped) == (0, 21)
    assert (good.packets, good.dropped) == (21, 0)
    assert sender.stats(12.0).packets == 21


async def test_a_path_that_cannot_segment_gets_single_packets(ends: Ends) -> None:
    (one, plain), (two, other) = await ends.receiver(), await ends.receiver()
    sender = ends.sender(one.port, two.port)
    # Without checksums the kernel refuses to cut segments, as it does where no device helps it.
    hop = sender._hops[HERE, one.port]
    hop.socket.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    sent = media(40)
    for first in range(0, 40, 10):
        sender.packets(sent[first : first + 10], 0.0)
    assert await arrived(plain, 40) == sent
    assert await arrived(other, 40) == sent
    assert not hop.segmented
    assert [stats.dropped for stats in sender.hop_stats()] == [0, 0]


async def test_a_picture_request_goes_up_a_chain_of_relays(ends: Ends) -> None:
    last, sink = await ends.receiver()
    middle, _ = await ends.receiver()
    heard: list[Feedback] = []
    relay = UdpSender(HERE, middle.feedback)
    first = UdpSender(HERE, lambda feedback, _now_s: heard.append(feedback))
    try:
        relay.set_hops([(HERE, last.port)])
        first.set_hops([(HERE, middle.port)])
        middle.attach(relay)
        for _ in range(3):  # impatient; one request is enough
            last.feedback(PictureRequest(77), now_s())

        async def requests() -> int:
            first.packets([b"\x80" * 40], now_s())
            return len(heard)

        await until(requests)
        assert heard == [PictureRequest(77)]
        assert (last.pictures_requested, middle.pictures_requested) == (1, 1)
        await arrived(sink, 1)
        assert set(sink.got) == {b"\x80" * 40}
    finally:
        relay.close()
        first.close()


async def test_odd_sizes(ends: Ends) -> None:
    entry, _ = await ends.receiver()
    last, sink = await ends.receiver()
    entry.attach(ends.sender(last.port))
    source = ends.socket()
    source.connect((HERE, entry.port))
    sent = [b"", b"a", b"b" * 9000, b"", b"c" * 1200]
    for data in sent:
        source.send(data)
    assert await arrived(sink, 3) == [data for data in sent if data]
    sender = ends.sender(last.port)
    sender.packets([b"x" * (MOST_BYTES + 1), b"", b"d"], 0.0)
    assert (await arrived(sink, 4))[3:] == [b"d"]


async def test_a_broken_sink_harms_no_other(ends: Ends) -> None:
    receiver, sink = await ends.receiver()
    receiver.detach(sink)
    receiver.attach(Broken())
    receiver.attach(sink)
    ends.sender(receiver.port).packets([b"x"], 0.0)
    assert await arrived(sink, 1) == [b"x"]


async def test_attaching_twice_is_once_and_detaching_ends_it(ends: Ends) -> None:
    receiver, sink = await ends.receiver()
    other, relayed = await ends.receiver()
    forwarder, feed = ends.sender(other.port), ends.sender(receiver.port)
    for _ in range(2):
        receiver.attach(sink)
        receiver.attach(forwarder)
    feed.packets([b"1"], 0.0)
    assert await arrived(relayed, 1) == await arrived(sink, 1) == [b"1"]
    receiver.detach(forwarder)
    receiver.detach(forwarder)
    receiver.detach(Kept())
    feed.packets([b"2"], 0.0)
    assert await arrived(sink, 2) == [b"1", b"2"]
    assert relayed.got == [b"1"]


async def test_stats_tell_the_rate_of_the_last_seconds(ends: Ends) -> None:
    receiver, sink = await ends.receiver()
    sender = ends.sender(receiver.port)
    for step in range(50):
        sender.packets([bytes(1250)] * 10, 100 + step / 10)
        await arrived(sink, 10 * (step + 1))
    told = sender.stats(105.0)
    assert (told.packets, told.bytes) == (500, 625_000)
    assert told.mbps == pytest.approx(1.0, rel=0.1)
    assert sender.stats(108.1).mbps == 0
    assert receiver.stats(now_s()).packets == 500
    assert receiver.stats(now_s()).mbps > 0


async def test_ports(ends: Ends) -> None:
    receiver, _ = await ends.receiver()
    with pytest.raises(PortTaken):
        await UdpReceiver.open(HERE, receiver.port)
    receiver.close()
    receiver.close()
    again = await UdpReceiver.open(HERE, receiver.port)
    assert again.port == receiver.port
    again.close()
    with pytest.raises(AddressUnusable):
        await UdpReceiver.open("203.0.113.9")
    with pytest.raises(AddressUnusable):
        UdpSender("203.0.113.9").set_hops([(HERE, 9)])


async def test_a_sink_may_close_the_receiver(ends: Ends) -> None:
    receiver, sink = await ends.receiver()

    class Closing:
        def packets(self, batch: Sequence[bytes], now_s: float) -> None:
            receiver.close()

    receiver.attach(Closing())
    ends.sender(receiver.port).packets(media(100), 0.0)
    await arrived(sink, 1)
    count = len(sink.got)
    other, other_sink = await ends.receiver()
    ends.sender(other.port, receiver.port).packets(media(10), now_s())
    await arrived(other_sink, 10)
    assert len(sink.got) == count


async def test_many_wakeups_a_millisecond_lose_nothing(ends: Ends) -> None:
    """The pump looks by the clock while it is busy, and listens again when it is not."""
    entries = [await ends.receiver() for _ in range(8)]
    sources = [ends.sender(entry.port) for entry, _ in entries]
    sent = media(40)
    for turn in (1, 2):
        for data in sent:
            for source in sources:
                source.packets([data], now_s())
                await asyncio.sleep(0)
        for _, sink in entries:
            assert await arrived(sink, 40 * turn) == sent * turn
    assert max(sink.batches for _, sink in entries) < 80


async def test_closing_while_busy(ends: Ends) -> None:
    entries = [await ends.receiver() for _ in range(3)]
    for _ in range(20):
        for entry, _ in entries:
            ends.sender(entry.port).packets([b"x"], 0.0)
            await asyncio.sleep(0)
    for entry, _ in entries:
        entry.close()
    again, sink = await ends.receiver()
    ends.sender(again.port).packets([b"y"], 0.0)
    assert await arrived(sink, 1) == [b"y"]


def test_on_uvloop() -> None:
    async def run() -> None:
        made = Ends()
        try:
            await test_a_chain_of_relays_changes_nothing(made, joined=True)
        finally:
            made.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
