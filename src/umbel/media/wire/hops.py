"""One destination of a sender: its sockets, what went wrong, what it reports by RTCP.

In: a ring's messages. Out: system calls, counts, feedback. Neighbours: datagrams.py, sender.py.

A network may send copies of what goes to one address to many receivers. Each of them reports from
a port of its own at that address, and is sent again there what it alone missed.
"""

import errno
import ipaddress
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from umbel.kit import ports
from umbel.kit.errors import Unavailable
from umbel.media.rtp import feedback as feedbacks
from umbel.media.rtp.feedback import Feedback
from umbel.media.wire import datagrams, source_filter
from umbel.media.wire.datagrams import Ring

_SOCKET_BUFFER_BYTES = 4 << 20
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
_RECONNECT_S = 1.0
_MOST_RESENDS_PER_S = 2000
_MOST_RESENDS_TO_ALL_PER_S = 20_000
_LONGEST_FEEDBACK = 2048
# Errors that concern one message; any other says that the hop takes nothing now.
_OF_ONE_MESSAGE = frozenset({errno.EMSGSIZE, errno.ECONNREFUSED})


@dataclass(frozen=True, kw_only=True)
class HopStats:
    """What one hop got: `dropped` packets did not leave, `refused` counts the peer's refusals,
    `resent` what was sent again because the hop missed it, or to begin with."""

    address: str
    port: int
    packets: int
    dropped: int
    refused: int
    resent: int


class AddressUnusable(Unavailable):
    """This machine cannot use that address."""

    code = "umbel.address_unusable"


_Peer = tuple[str, int]


class Hop:
    """A destination: its connected socket, and what went wrong. `reports` takes what comes from
    other ports of its address; there is none where the source has no address of its own."""

    def __init__(self, address: str, port: int, source: str) -> None:
        self.address, self.port = address, port
        self.socket = bound_socket(address, source, 0, receive=False)
        self.descriptor = self.socket.fileno()
        self.reports = _at_same_port(self.socket, address) if source else None
        self.segmented = True
        self.before = self.dropped = self.refused = self.resent = 0
        self._window_s = float("-inf")
        self._resent_in_window: Counter[_Peer | None] = Counter()
        self.retry_s = float("-inf")

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Where reports come in."""
        reports = (self.reports.fileno(),) if self.reports is not None else ()
        return (self.descriptor, *reports)

    def close(self) -> None:
        """Give the sockets back."""
        self.socket.close()
        if self.reports is not None:
            self.reports.close()

    def connect(self, now_s: float) -> bool:
        """Whether there is a path to it now."""
        self.retry_s = now_s + _RECONNECT_S
        return self.socket.connect_ex((self.address, self.port)) == 0

    def resume(self, ring: Ring, result: int) -> None:
        """Go on where a send of the ring's messages stopped. `result` is what it answered."""
        first, refused = 0, False
        while True:
            if result > 0:
                first, refused = first + result, False
            elif -result in datagrams.NO_SEGMENTS and ring.messages[first] > 1:
                self.segmented = False
                self.send_singly(ring, sum(ring.messages[:first]))
                return
            elif -result == errno.ECONNREFUSED and not refused:
                # The answer to an earlier packet: this one has not been tried yet.
                self.refused, refused = self.refused + 1, True
            elif -result in _OF_ONE_MESSAGE:
                self.dropped += ring.messages[first]
                first, refused = first + 1, False
            else:
                self.dropped += sum(ring.messages[first:])
                return
            if first >= len(ring.messages):
                return
            result = ring.send(self.descriptor, first)

    def send_singly(self, ring: Ring, first: int) -> None:
        """Send the ring's datagrams from `first` on where the path cannot cut segments."""
        for data in ring.datagrams()[first:]:
            try:
                self.socket.send(data)
            except OSError:
                self.dropped += 1

    def begin(self, packets: Iterable[bytes]) -> None:
        """Send what went to others before, ahead of all else."""
        for data in packets:
            try:
                self.socket.send(data)
                self.resent += 1
            except OSError:
                self.dropped += 1

    def resend(self, packets: Iterable[bytes], now_s: float, to: _Peer | None) -> None:
        """Send again what the hop missed, or the one of its receivers that asked, within limits a
        second for each and for all."""
        if now_s - self._window_s >= 1.0:
            self._window_s = now_s
            self._resent_in_window.clear()
        done = self._resent_in_window
        room = min(_MOST_RESENDS_PER_S - done[to], _MOST_RESENDS_TO_ALL_PER_S - done.total())
        for data in islice(packets, max(room, 0)):
            done[to] += 1
            try:
                if to is None or self.reports is None:
                    self.socket.send(data)
                else:
                    self.reports.sendto(data, to)
                self.resent += 1
            except OSError:
                self.dropped += 1

    def receive_feedback(self) -> Iterator[tuple[Feedback, _Peer | None]]:
        """What the hop reported since the last time, and which receiver of several did."""
        while True:
            try:
                data = self.socket.recv(_LONGEST_FEEDBACK)
            except ConnectionRefusedError:
                self.refused += 1
                continue
            except OSError:
                break
            yield from ((one, None) for one in feedbacks.from_rtcp(data))
        while self.reports is not None:
            try:
                data, (address, port, *_) = self.reports.recvfrom(_LONGEST_FEEDBACK)
            except OSError:
                return
            yield from ((one, (address, port)) for one in feedbacks.from_rtcp(data))

    def stats(self, sent: int) -> HopStats:
        return HopStats(
            address=self.address,
            port=self.port,
            packets=sent - self.before - self.dropped,
            dropped=self.dropped,
            refused=self.refused,
            resent=self.resent,
        )


def _at_same_port(connected: socket.socket, peer: str) -> socket.socket:
    """Another socket at the same address and port, which takes what the peer's address sends from
    other ports than the one that `connected` will be connected to. Raises OSError, both closed."""
    made = socket.socket(connected.family, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        source_filter.set_sources(made, [ipaddress.ip_address(peer)])
        # Both must allow it, and only now: no other socket may be given the port.
        for one in (connected, made):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(connected.getsockname())
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        made.close()
        connected.close()
        raise
    return made


def bound_socket(peer: str, address: str, port: int, *, receive: bool) -> socket.socket:
    """A socket of the peer's family, at an address (empty: any). Raises OSError, closed."""
    made = socket.socket(socket.AF_INET6 if ":" in peer else socket.AF_INET, socket.SOCK_DGRAM)
    plain, forced = (
        (socket.SO_RCVBUF, _SO_RCVBUFFORCE) if receive else (socket.SO_SNDBUF, _SO_SNDBUFFORCE)
    )
    try:
        made.setblocking(False)
        try:
            made.setsockopt(socket.SOL_SOCKET, forced, _SOCKET_BUFFER_BYTES)
        except PermissionError:
            made.setsockopt(socket.SOL_SOCKET, plain, _SOCKET_BUFFER_BYTES)
        if address and receive:
            bind(made, address, port)
        elif address:
            made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made


def bind(made: socket.socket, address: str, port: int) -> None:
    """Bind to the port, or for 0 to one that this program may listen on. Raises OSError."""
    taken: OSError | None = None
    for number in ports.candidates(port):
        try:
            made.bind((address, number))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            taken = error
        else:
            return
    if taken is not None:
        raise taken
