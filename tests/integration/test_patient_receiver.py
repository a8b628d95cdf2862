"""A patient receiver reads ten times a second, and loses nothing."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from support.waiting import until
from umbel.media.ports import Packets
from umbel.media.wire.receiver import UdpReceiver

HERE = "127.0.0.1"


class Kept:
    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.reads: set[float] = set()

    def packets(self, batch: Packets, now_s: float) -> None:
        self.got += batch
        self.reads.add(asyncio.get_running_loop().time())

    async def count(self) -> int:
        return len(self.got)

    async def until(self, number: int) -> int:
        return await until(self.count, lambda count: count == number)


@pytest.fixture
def out() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        yield made


async def test_many_packets_are_read_at_a_few_times(out: socket.socket) -> None:
    receiver, sink = await UdpReceiver.open(HERE, is_patient=True), Kept()
    receiver.attach(sink)
    sent = [number.to_bytes(4, "big") for number in range(300)]
    began_s = asyncio.get_running_loop().time()
    left = list(sent)
    while left:
        out.sendto(left.pop(0), (HERE, receiver.port))
        await asyncio.sleep(0.003)
    await until(sink.count, lambda count: count == len(sent))
    lasted_s = asyncio.get_running_loop().time() - began_s
    assert sink.got == sent
    assert len({round(at_s, 2) for at_s in sink.reads}) <= 2 * lasted_s / 0.1 + 2
    receiver.close()


async def test_a_burst_is_read_at_once_and_the_next_one_too(out: socket.socket) -> None:
    receiver, sink = await UdpReceiver.open(HERE, is_patient=True), Kept()
    receiver.attach(sink)
    sent = [number.to_bytes(4, "big") * 100 for number in range(1000)]
    for turn in (1, 2):
        for data in sent:
            out.sendto(data, (HERE, receiver.port))
        assert await sink.until(turn * len(sent))
    assert sink.got == sent * 2
    receiver.close()


async def test_it_may_be_closed_at_any_time(out: socket.socket) -> None:
    first, sink = await UdpReceiver.open(HERE, is_patient=True), Kept()
    second = await UdpReceiver.open(HERE, is_patient=True)
    hasty = await UdpReceiver.open(HERE)
    out.sendto(b"x", (HERE, first.port))
    first.close()
    second.close()
    again = await UdpReceiver.open(HERE, is_patient=True)
    for receiver in (again, hasty):
        receiver.attach(sink)
        out.sendto(b"y", (HERE, receiver.port))
    await until(sink.count, lambda count: count == 2)
    assert sink.got == [b"y", b"y"], "and nothing that was sent to a closed one"
    for receiver in (again, hasty):
        receiver.close()
