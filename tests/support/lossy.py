"""Relays on loopback that lose packets: a hop of a tree, and a way to any UDP port.

In: a receiver, and which packets to lose. Out: where the sender is to send, what was lost, and
what the receiver asked for. What the receiver sends goes back to the sender.
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


@dataclass(kw_only=True)
class Relay(asyncio.DatagramProtocol):
    """Datagrams to `receiver`, and back to who sent last. Subclasses say which ones pass."""

    receiver: tuple[str, int]
    _sender: tuple[str, int] | None = None
    _front: asyncio.DatagramTransport | None = None
    _back: asyncio.DatagramTransport | None = None

    def passes(self, data: bytes) -> bool:
        """Whether a datagram gets to the receiver."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """Where to send, at the address that it was opened at."""
        assert self._front is not None
        return int(self._front.get_extra_info("sockname")[1])

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
        if self.passes(data):
            self._back.sendto(data)

    def send_back(self, data: bytes) -> None:
        """From the receiver to the sender."""
        if self._sender is not None and self._front is not None:
            self._front.sendto(data, self._sender)


class _Back(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._relay.send_back(data)


@dataclass(kw_only=True)
class Lossy(Relay):
    """A hop: `loses` is asked once of each RTP packet, by how many came before it. `lost` are those
    that were lost, `came` those that passed later, and `asked` counts requests by packet."""

    loses: Callable[[int], bool]
    lost: set[Number] = field(default_factory=set)
    came: set[Number] = field(default_factory=set)
    asked: Counter[Number] = field(default_factory=Counter)
    _seen: set[Number] = field(default_factory=set)

    @property
    def target(self) -> Target:
        """Where to send."""
        assert self._front is not None
        return Target(address=self._front.get_extra_info("sockname")[0], port=self.port)

    def passes(self, data: bytes) -> bool:
        if packet.is_rtcp(data):
            return True
        number = (int.from_bytes(data[8:12], "big"), packet.sequence_of(data))
        is_new = number not in self._seen
        is_lost = is_new and self.loses(len(self._seen))
        self._seen.add(number)
        if is_lost:
            self.lost.add(number)
        elif number in self.lost:
            self.came.add(number)
        return not is_lost

    def send_back(self, data: bytes) -> None:
        for one in feedback.from_rtcp(data):
            if isinstance(one, PacketsMissed):
                self.asked.update((one.ssrc, sequence) for sequence in one.sequences)
        super().send_back(data)


@dataclass(kw_only=True)
class LossyLink(Relay):
    """A way to one UDP port, whatever the datagrams are: of the large ones to it each `every`-th is
    lost, and none of those back. With 0 nothing is lost. `passed` and `lost` count the large."""

    every: int
    passed: int = 0
    lost: int = 0

    def passes(self, data: bytes) -> bool:
        if len(data) <= _LARGE_BYTES:
            return True
        is_lost = self.every > 0 and (self.passed + self.lost) % self.every == self.every - 1
        self.lost += is_lost
        self.passed += not is_lost
        return not is_lost
