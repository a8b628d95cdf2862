"""A link of a testbed that loses packets on their way to one node.

In: a testbed that is up, the link, and which RTP packets to lose. Out: what came over the link.
Not every kernel has netem, so the node's end of the link is opened: between its switch and the wire
frames pass through this process, which looks at what is in the tunnel.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from support.testbed import Testbed
from umbel.kit import netns
from umbel.media.rtp import packet

Number = tuple[int, int]
"""A packet's SSRC and sequence number."""

_ETH_P_ALL, _OUTGOING = 3, 4
_MOST = 4096
_OUTER = 14 + 20 + 8
"""Of a frame in a tunnel: the headers of Ethernet, IPv4 and GRE with a key."""
_INNER = 14 + 20 + 8
"""Of a packet of a stream: the headers of Ethernet, IPv4 and UDP."""


@dataclass
class LossyLink:
    """`loses` is asked of each RTP packet, by how many came before it. `seen` counts how often
    each came over the link, lost or not; `lost` are those whose last copy was lost."""

    loses: Callable[[int], bool]
    seen: Counter[Number] = field(default_factory=Counter)
    lost: set[Number] = field(default_factory=set)
    ever_lost: set[Number] = field(default_factory=set)

    def passes(self, frame: bytes) -> bool:
        """Whether a frame on its way to the node gets there."""
        number = _number(frame)
        if number is None:
            return True
        is_lost = self.loses(self.seen.total())
        self.seen[number] += 1
        if is_lost:
            self.lost.add(number)
            self.ever_lost.add(number)
        else:
            self.lost.discard(number)
        return not is_lost


@contextmanager
def losing(bed: Testbed, near: str, node: str, loses: Callable[[int], bool]) -> Iterator[LossyLink]:
    """The link from `near` loses packets to `node` in this block, which runs in a loop."""
    (cable,) = [cable for cable in bed.nodes[node].plan.cables if cable.neighbour == near]
    link, loop = LossyLink(loses), asyncio.get_running_loop()
    to_switch, to_wire = (_device(bed, node, name) for name in (cable.back, cable.wire))
    bed.nodes[node].run("ip", "link", "set", cable.back, "nomaster")
    try:
        loop.add_reader(to_wire, partial(_pass, to_wire, to_switch, link.passes))
        loop.add_reader(to_switch, partial(_pass, to_switch, to_wire, lambda _frame: True))
        yield link
    finally:
        bed.nodes[node].run("ip", "link", "set", cable.back, "master", cable.hop)
        for one in (to_switch, to_wire):
            loop.remove_reader(one)
            one.close()


def _device(bed: Testbed, node: str, name: str) -> socket.socket:
    def bound() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        made.setblocking(False)
        made.bind((name, 0))
        return made

    return netns.inside(bed.nodes[node].namespace, bound)


def _pass(came: socket.socket, goes: socket.socket, passes: Callable[[bytes], bool]) -> None:
    while True:
        try:
            frame, where = came.recvfrom(_MOST)
        except BlockingIOError:
            return
        if where[2] != _OUTGOING and passes(frame):
            goes.send(frame)


def _number(frame: bytes) -> Number | None:
    """Of the RTP packet in a tunnel's frame; None: there is none."""
    inner = frame[_OUTER:]
    is_tunnel = frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_GRE
    if not is_tunnel or inner[12:14] != b"\x08\x00" or inner[23] != socket.IPPROTO_UDP:
        return None
    data = inner[_INNER:]
    if len(data) < packet.HEADER_BYTES or data[0] >> 6 != 2 or packet.is_rtcp(data):
        return None
    return packet.ssrc_of(data), packet.sequence_of(data)
