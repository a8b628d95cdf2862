"""Hops over real sockets: what one loses is asked for once, however many are below it."""

import asyncio
from collections.abc import Sequence

from support.lossy import Lossy
from umbel.media.model import PayloadType
from umbel.media.rtp import packet
from umbel.media.rtp.stream import LiveStream
from umbel.media.wire.receiver import UdpReceiver
from umbel.media.wire.sender import UdpSender

SSRC, PACKETS = 0xABC, 400


class Edge:
    """Takes the stream as an edge does, and asks its feeder for what is missing."""

    def __init__(self, receiver: UdpReceiver) -> None:
        self.live, self.numbers = LiveStream(), list[int]()
        self.receiver = receiver
        self.live.on_feedback = receiver.feedback
        self.live.attach(self)
        receiver.attach(self.live)

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        self.numbers += map(packet.sequence_of, batch)


async def sent(sender: UdpSender, edges: Sequence[Edge]) -> None:
    """Send until each edge has so many packets: requests travel with the packets that follow."""
    sequence = 0
    async with asyncio.timeout(60):
        while min(len(edge.numbers) for edge in edges) < PACKETS:
            header = packet.build_header(PayloadType.H264, sequence, sequence * 1000, SSRC)
            sender.packets([header + b"\x41picture"], asyncio.get_running_loop().time())
            sequence += 1
            await asyncio.sleep(0.004)


def early(hop: Lossy) -> set[tuple[int, int]]:
    """What was lost so long ago that it must have come again."""
    return {number for number in hop.lost if number[1] < PACKETS - 100}


async def test_three_edges_miss_a_packet_and_the_root_is_asked_once() -> None:
    root = UdpSender("127.0.0.1")
    forwarder = await UdpReceiver.open("127.0.0.1")
    below = UdpSender("127.0.0.1", on_feedback=forwarder.feedback)
    forwarder.attach(below)
    edges = [Edge(await UdpReceiver.open("127.0.0.1")) for _ in range(3)]
    below.set_hops((edge.receiver.address, edge.receiver.port) for edge in edges)
    hop = Lossy((forwarder.address, forwarder.port), lambda number: number % 20 == 7)
    await hop.open("127.0.0.1")
    root.set_hops([(hop.target.address, hop.target.port)])
    try:
        await sent(root, edges)
        assert len(early(hop)) == (PACKETS - 100) // 20
        assert early(hop) <= hop.came
        for edge in edges:
            assert len(edge.numbers) == len(set(edge.numbers))
        # A loaded machine may take longer to answer than the first wait; nobody asks three times.
        asked = [hop.asked[number] for number in early(hop)]
        assert set(asked) <= {1, 2}
        assert sum(asked) < 2 * len(asked)
        assert sum(stats.resent for stats in below.hop_stats()) == 0
    finally:
        hop.close()
        for receiver in (forwarder, *(edge.receiver for edge in edges)):
            receiver.close()
        root.close()
        below.close()


async def test_what_the_feeder_still_has_is_not_asked_for_above() -> None:
    root = UdpSender("127.0.0.1")
    forwarder = await UdpReceiver.open("127.0.0.1")
    asked: list[object] = []
    below = UdpSender("127.0.0.1", on_feedback=lambda value, _: asked.append(value))
    forwarder.attach(below)
    edge = Edge(await UdpReceiver.open("127.0.0.1"))
    hop = Lossy((edge.receiver.address, edge.receiver.port), lambda number: number % 20 == 7)
    await hop.open("127.0.0.1")
    below.set_hops([(hop.target.address, hop.target.port)])
    root.set_hops([(forwarder.address, forwarder.port)])
    try:
        await sent(root, [edge])
        assert early(hop) <= hop.came
        assert asked == []
        assert sum(stats.resent for stats in below.hop_stats()) >= len(early(hop))
    finally:
        hop.close()
        for receiver in (forwarder, edge.receiver):
            receiver.close()
        root.close()
        below.close()
