"""One destination of a sender: its connected socket, what went wrong, what it reports by RTCP.

In: a ring's messages. Out: system calls, counts, feedback. Neighbours: datagrams.py, sender.py.
"""

import errno
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from umbel.kit import ports
from umbel.kit.errors import Unavailable
from umbel.media.rtp import feedback as feedbacks
from umbel.media.rtp.feedback import Feedback
from umbel.media.wire import datagrams
from umbel.media.wire.datagrams import Ring

_SOCKET_BUFFER_BYTES = 4 << 20
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32
_RECONNECT_S = 1.0
_MOST_RESENDS_PER_S = 2000
_LONGEST_FEEDBACK = 2048
# Errors that concern one message; any other says that the hop takes nothing now.
_OF_ONE_MESSAGE = frozenset({errno.EMSGSIZE, errno.ECONNREFUSED})


@dataclass(frozen=True, kw_only=True)
class HopStats:
    """What one hop got: `dropped` packets did not leave, `refused` counts the peer's refusals,
    `resent` what was sent again because the hop missed it."""

    address: str
    port: int
    packets: int
    dropped: int
    refused: int
    resent: int


class AddressUnusable(Unavailable):
    """This machine cannot use that address."""

    code = "umbel.address_unusable"


class Hop:
    """A destination: its connected socket, and what went wrong."""

    def __init__(self, address: str, port: int, source: str) -> None:
        self.address, self.port = address, port
        self.socket = bound_socket(address, source, 0, receive=False)
        self.descriptor = self.socket.fileno()
        self.segmented = True
        self.before = self.dropped = self.refused = self.resent = 0
        self._window_s, self._window_count = float("-inf"), 0
        self.retry_s = float("-inf")

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

    def resend(self, packets: Iterable[bytes], now_s: float) -> None:
        """Send again what the hop missed, within a limit a second."""
        if now_s - self._window_s >= 1.0:
            self._window_s, self._window_count = now_s, 0
        for data in islice(packets, _MOST_RESENDS_PER_S - self._window_count):
            self._window_count += 1
            try:
                self.socket.send(data)
                self.resent += 1
            except OSError:
                self.dropped += 1

    def receive_feedback(self) -> Iterator[Feedback]:
        """What the hop reported since the last time."""
        while True:
            try:
                data = self.socket.recv(_LONGEST_FEEDBACK)
            except ConnectionRefusedError:
                self.refused += 1
                continue
            except OSError:
                return
            yield from feedbacks.from_rtcp(data)

    def stats(self, sent: int) -> HopStats:
        return HopStats(
            address=self.address,
            port=self.port,
            packets=sent - self.before - self.dropped,
            dropped=self.dropped,
            refused=self.refused,
            resent=self.resent,
        )


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
