"""Hops over real sockets: what one loses is asked for once, however many are below it."""

import asyncio
import socket
from collections import Counter
from collections.abc import Sequence

import pytest

from support.lossy import Lossy
from support.waiting import until
from umbel.media.model import PayloadType
from umbel.media.rtp import feedback, packet
from umbel.media.rtp.feedback import PacketsMissed, PictureRequest
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
    hop = Lossy(receiver=(forwarder.address, forwarder.port), loses=lambda number: number % 20 == 7)
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
    hop = Lossy(
        receiver=(edge.receiver.address, edge.receiver.port), loses=lambda number: number % 20 == 7
    )
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


class Copies(asyncio.DatagramProtocol):
    """A network that sends what comes to its address to all edges, as switches do: what an edge
    reports to it goes to the sender from a port of the edge's own, and back to that edge alone."""

    def __init__(self, edges: Sequence[Edge]) -> None:
        self.edges, self.again, self.seen = edges, Counter[int](), 0
        self.sender: tuple[str, int] | None = None
        self.front: asyncio.DatagramTransport | None = None
        self.backs: list[asyncio.DatagramTransport] = []

    async def open(self, address: str) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        self.front, _ = await loop.create_datagram_endpoint(lambda: self, (address, 0))
        for index in range(len(self.edges)):
            back, _ = await loop.create_datagram_endpoint(
                lambda index=index: _CopiesBack(self, index),  # type: ignore[misc]
                (address, 0),
            )
            self.backs.append(back)
        host, port = self.front.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def close(self) -> None:
        for transport in (self.front, *self.backs):
            if transport is not None:
                transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.sender, self.seen = addr, self.seen + 1
        for index, edge in enumerate(self.edges):
            if index != 0 or self.seen % 10 != 3:  # lost on the way to the first
                self.backs[index].sendto(data, (edge.receiver.address, edge.receiver.port))


class _CopiesBack(asyncio.DatagramProtocol):
    def __init__(self, network: Copies, index: int) -> None:
        self.network, self.index = network, index

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        back, receiver = self.network.backs[self.index], self.network.edges[self.index].receiver
        if addr == self.network.sender:
            self.network.again[self.index] += 1
            back.sendto(data, (receiver.address, receiver.port))
        elif self.network.sender is not None:
            back.sendto(data, self.network.sender)


async def test_where_the_network_copies_a_packet_is_sent_again_to_who_missed_it_alone() -> None:
    heard: list[object] = []
    root = UdpSender("127.0.0.1", on_feedback=lambda value, _: heard.append(value))
    edges = [Edge(await UdpReceiver.open("127.0.0.1")) for _ in range(2)]
    network = Copies(edges)
    root.set_hops([await network.open("127.0.0.7")])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.8", 0))
        try:
            sending = asyncio.create_task(sent(root, edges))
            await until(lambda: value(network.sender))
            assert network.sender is not None
            missed = feedback.to_rtcp(PacketsMissed(SSRC, tuple(range(200))), 1)
            stranger.sendto(missed, network.sender)
            edges[1].receiver.feedback(PictureRequest(), 0.0)
            await sending
            for edge in edges:
                first = min(edge.numbers)
                assert set(range(first, first + PACKETS - 100)) <= set(edge.numbers)
            assert network.again[0] >= (PACKETS - 100) // 10
            assert network.again[1] == 0
            assert PictureRequest() in heard
            stranger.setblocking(False)
            with pytest.raises(BlockingIOError):
                stranger.recv(2000)
        finally:
            network.close()
            root.close()
            for edge in edges:
                edge.receiver.close()


async def value(of: object) -> object:
    return of
