"""A hop of a tree that loses packets: a relay between two functions, on loopback.

In: a receiver, and which packets to lose the first time they come. Out: where the sender is to
send, what was lost, and what the receiver asked for. RTCP passes both ways.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from umbel.media.model import Target
from umbel.media.rtp import feedback, packet
from umbel.media.rtp.feedback import PacketsMissed

_LARGE_BYTES = 300
Number = tuple[int, int]
"""A packet's SSRC and sequence number."""


@dataclass
class Lossy(asyncio.DatagramProtocol):
    """`loses` is asked once of each RTP packet, by how many came before it. `lost` are those that
    were lost, `came` those that passed later, and `asked` counts requests by packet."""

    receiver: tuple[str, int]
    loses: Callable[[int], bool]
    lost: set[Number] = field(default_factory=set)
    came: set[Number] = field(default_factory=set)
    asked: Counter[Number] = field(default_factory=Counter)
    _seen: set[Number] = field(default_factory=set)
    _sender: tuple[str, int] | None = None
    _front: asyncio.DatagramTransport | None = None
    _back: asyncio.DatagramTransport | None = None

    @property
    def target(self) -> Target:
        """Where to send."""
        assert self._front is not None
        address, port = self._front.get_extra_info("sockname")[:2]
        return Target(address=address, port=port)

    async def open(self, address: str) -> None:
        """Relay from now on, at a free port of the address."""
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(lambda: self, (address, 0))
        self._back, _ = await loop.create_datagram_endpoint(
            lambda: _Back(self), local_addr=(address, 0), remote_addr=self.receiver
        )

    def close(self) -> None:
        for transport in (self._front, self._back):
            if transport is not None:
                transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._sender = addr
        assert self._back is not None
        if not packet.is_rtcp(data):
            number = (int.from_bytes(data[8:12], "big"), packet.sequence_of(data))
            is_new = number not in self._seen
            if is_new and self.loses(len(self._seen)):
                self._seen.add(number)
                self.lost.add(number)
                return
            self._seen.add(number)
            if number in self.lost:
                self.came.add(number)
        self._back.sendto(data)

    def send_back(self, data: bytes) -> None:
        """RTCP from the receiver to the sender."""
        for one in feedback.from_rtcp(data):
            if isinstance(one, PacketsMissed):
                self.asked.update((one.ssrc, sequence) for sequence in one.sequences)
        if self._sender is not None and self._front is not None:
            self._front.sendto(data, self._sender)


class _Back(asyncio.DatagramProtocol):
    def __init__(self, hop: "Lossy | LossyLink") -> None:
        self._hop = hop

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._hop.send_back(data)


@dataclass
class LossyLink(asyncio.DatagramProtocol):
    """A way to one UDP port, whatever the datagrams are: of the large ones to it each `every`-th is
    lost, and none of those back. With 0 nothing is lost. `passed` and `lost` count the large."""

    receiver: tuple[str, int]
    every: int
    passed: int = 0
    lost: int = 0
    _sender: tuple[str, int] | None = None
    _front: asyncio.DatagramTransport | None = None
    _back: asyncio.DatagramTransport | None = None

    @property
    def port(self) -> int:
        """Where to send, at the receiver's address."""
        assert self._front is not None
        return int(self._front.get_extra_info("sockname")[1])

    async def open(self) -> None:
        """Relay from now on."""
        loop = asyncio.get_running_loop()
        address = self.receiver[0]
        self._front, _ = await loop.create_datagram_endpoint(lambda: self, (address, 0))
        self._back, _ = await loop.create_datagram_endpoint(
            lambda: _Back(self), local_addr=(address, 0), remote_addr=self.receiver
        )

    def close(self) -> None:
        for transport in (self._front, self._back):
            if transport is not None:
                transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._sender = addr
        assert self._back is not None
        if len(data) > _LARGE_BYTES:
            if self.every and (self.passed + self.lost) % self.every == self.every - 1:
                self.lost += 1
                return
            self.passed += 1
        self._back.sendto(data)

    def send_back(self, data: bytes) -> None:
        if self._sender is not None and self._front is not None:
            self._front.sendto(data, self._sender)
