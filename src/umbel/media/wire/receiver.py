"""The receiving end of every hop of a tree: a port's datagrams go to its sinks.

A receiver with a sender attached is a forwarder: datagrams then stay in the receiver's ring and no
bytes object is made. Neighbours: datagrams.py and pump.py below, sender.py at the other end.
"""

import asyncio
import errno
import ipaddress
import secrets
import socket
from collections.abc import Iterable

import structlog

from umbel.kit.errors import Conflict
from umbel.media.ports import Packets, PacketSink
from umbel.media.rtp import feedback as feedbacks
from umbel.media.rtp.errors import BadSource
from umbel.media.rtp.feedback import Aggregate, Feedback, PacketsMissed, PictureRequest
from umbel.media.rtp.hop_srtp import Unprotector
from umbel.media.wire import datagrams, source_filter
from umbel.media.wire.datagrams import Ring, rings
from umbel.media.wire.hops import AddressUnusable, bound_socket
from umbel.media.wire.meter import Meter, UdpStats
from umbel.media.wire.pump import pump_of
from umbel.media.wire.sender import UdpSender

log = structlog.get_logger(__name__)

_READS_A_WAKEUP = 4
_MOST_WAITING = 16


class PortTaken(Conflict):
    """Another socket uses that UDP port."""

    code = "umbel.port_taken"


class UdpReceiver:
    """A PacketSource: one bound port. Sinks are called in the order they were attached."""

    def __init__(self, bound: socket.socket, *, is_patient: bool) -> None:
        """Use `open`."""
        self.address, self.port = bound.getsockname()[:2]
        self._socket = bound
        self._descriptor = bound.fileno()
        self._senders: tuple[UdpSender, ...] = ()
        self._sinks: tuple[PacketSink, ...] = ()
        self._meter = Meter()
        self._ssrc = secrets.randbits(32)
        self._aggregate = Aggregate()
        self._waiting: list[Feedback] = []
        self.unprotector: Unprotector | None = None
        """What reads protected packets; None: they are passed on as they come."""
        self.pictures_requested = 0
        self.sources: tuple[str, ...] = ()
        self._pump = pump_of(asyncio.get_running_loop(), is_patient=is_patient)
        self._pump.add(self._descriptor, self._read)

    @classmethod
    async def open(cls, address: str, port: int = 0, *, is_patient: bool = False) -> "UdpReceiver":
        """Bind `address`:`port` (0: any free one) and read, from any host until `set_sources`. A
        patient one gives packets on up to 100 ms late, for less CPU. Raises PortTaken,
        AddressUnusable."""
        try:
            bound = bound_socket(address, address, port, receive=True)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"UDP port {port} of {address} is taken") from error
            raise AddressUnusable(f"cannot listen on {address}: {error.strerror}") from error
        datagrams.join_incoming(bound)
        return cls(bound, is_patient=is_patient)

    def set_sources(self, addresses: Iterable[str]) -> None:
        """Take packets from these hosts alone; from all, where there are none. Raises BadSource,
        and then changes nothing."""
        wanted = tuple(dict.fromkeys(addresses))
        if wanted == self.sources:
            return
        try:
            parsed = [ipaddress.ip_address(address) for address in wanted]
        except ValueError as error:
            raise BadSource(str(error)) from error
        if len(parsed) > source_filter.MOST_SOURCES:
            raise BadSource(f"a receiver has at most {source_filter.MOST_SOURCES} sources")
        source_filter.set_sources(self._socket, parsed)
        self.sources = wanted

    def attach(self, sink: PacketSink) -> None:
        """Give packets to the sink too. A UdpSender gets them without a copy."""
        if isinstance(sink, UdpSender):
            self._senders = (*(s for s in self._senders if s is not sink), sink)
        else:
            self._sinks = (*(s for s in self._sinks if s is not sink), sink)

    def detach(self, sink: PacketSink) -> None:
        """No more packets to the sink."""
        self._senders = tuple(s for s in self._senders if s is not sink)
        self._sinks = tuple(s for s in self._sinks if s is not sink)

    def feedback(self, feedback: Feedback, now_s: float) -> None:
        """Send it by RTCP to where the next packet comes from. Best effort, throttled."""
        passed = self._aggregate.throttled(feedback, now_s)
        if passed is not None:
            if not isinstance(passed, PacketsMissed):
                self._waiting = [one for one in self._waiting if type(one) is not type(passed)]
            self._waiting = [*self._waiting, passed][-_MOST_WAITING:]

    def stats(self, now_s: float) -> UdpStats:
        """What came in."""
        return self._meter.stats(now_s)

    def close(self) -> None:
        """Stop reading and give the port back. Idempotent."""
        if self._descriptor >= 0:
            self._pump.remove(self._descriptor)
            self._socket.close()
            self._descriptor = -1

    def _read(self, now_s: float) -> None:
        if self._waiting:
            self._report()
        ring = rings.received
        for _ in range(_READS_A_WAKEUP):
            slots = ring.receive(self._descriptor)
            if slots <= 0:
                break
            if self.unprotector is None:
                self._meter.add(ring.count, ring.total, now_s)
                self._forward(ring, now_s)
            else:
                self._read_protected(self.unprotector.unprotect(ring.datagrams(), now_s), now_s)
            # A sink may have closed this receiver.
            if slots < datagrams.SLOTS or self._descriptor < 0:
                break

    def _report(self) -> None:
        """Send what waits to the sender of the datagram that is to be read next."""
        waiting, self._waiting = self._waiting, []
        try:
            _, sender = self._socket.recvfrom(1, socket.MSG_PEEK)
            for one in waiting:
                self.pictures_requested += isinstance(one, PictureRequest)
                self._socket.sendto(feedbacks.to_rtcp(one, self._ssrc), sender)
        except BlockingIOError:
            self._waiting = waiting
        except OSError:
            # No path back: the receiver asks again when it still needs to.
            pass

    def _forward(self, ring: Ring, now_s: float) -> None:
        for sender in self._senders:
            sender.forward(ring, now_s)
        if self._sinks:
            self._give(ring.datagrams(), now_s)

    def _read_protected(self, batch: Packets, now_s: float) -> None:
        self._meter.add(len(batch), sum(map(len, batch)), now_s)
        for sender in self._senders:
            sender.packets(batch, now_s)
        self._give(batch, now_s)

    def _give(self, batch: Packets, now_s: float) -> None:
        for sink in self._sinks:
            try:
                sink.packets(batch, now_s)
            except Exception:
                log.exception("a sink failed", port=self.port, sink=type(sink).__name__)
