"""A UDP port takes packets from its sources alone: filters on real sockets."""

import ipaddress
import socket
from collections.abc import Sequence

import pytest

from support.waiting import until
from umbel.media.rtp.errors import BadSource
from umbel.media.wire import source_filter
from umbel.media.wire.receiver import UdpReceiver

HERE = "127.0.0.1"


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        self.got += batch


async def test_a_receiver_takes_from_its_sources_alone() -> None:
    receiver, kept = await UdpReceiver.open(HERE), Kept()
    receiver.attach(kept)
    friend, stranger = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    friend.bind(("127.0.0.2", 0))
    stranger.bind(("127.0.0.3", 0))
    here = (HERE, receiver.port)

    async def got(*expected: bytes) -> bool:
        """Each sends, the stranger first; what the receiver gets is exactly this."""

        async def arrived() -> bool:
            return b"friend" in kept.got

        kept.got.clear()
        stranger.sendto(b"stranger", here)
        friend.sendto(b"friend", here)
        await until(arrived)
        return sorted(kept.got) == sorted(expected)

    assert await got(b"friend", b"stranger")
    receiver.set_sources(["10.1.2.3", "127.0.0.2"])
    assert await got(b"friend")
    with pytest.raises(BadSource):
        receiver.set_sources(["a host"])
    with pytest.raises(BadSource):
        receiver.set_sources(f"10.0.0.{n}" for n in range(65))
    assert receiver.sources == ("10.1.2.3", "127.0.0.2")
    assert await got(b"friend")
    receiver.set_sources([])
    receiver.set_sources([])
    assert await got(b"friend", b"stranger")
    receiver.close()
    friend.close()
    stranger.close()


@pytest.mark.parametrize(
    ("sources", "is_taken"),
    [(["::1"], True), (["::2", "fe80::1", "::1"], True), (["::2", "1::1", "127.0.0.1"], False)],
)
def test_a_filter_knows_addresses_of_128_bits(sources: list[str], is_taken: bool) -> None:
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as bound,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender,
    ):
        bound.bind(("::1", 0))
        bound.settimeout(5 if is_taken else 0.2)
        source_filter.set_sources(bound, [ipaddress.ip_address(one) for one in sources])
        sender.sendto(b"1", bound.getsockname())
        if is_taken:
            assert bound.recv(9) == b"1"
        else:
            with pytest.raises(TimeoutError):
                bound.recv(9)
