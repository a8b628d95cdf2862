"""UDP in and out of a media server: the ends of every hop of a tree.

`UdpReceiver` gives a port's datagrams to its sinks; `UdpSender` sends what it is given to its hops.
A receiver with a sender attached is a forwarder: datagrams then stay in the receiver's ring and no
bytes object is made. Each hop has a connected socket of its own, so that a slow or refusing one
harms no other hop. Neighbours: hops.py, datagrams.py and pump.py below, media/ports.py between.
"""

import asyncio
import errno
import ipaddress
import secrets
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import structlog

from umbel.kit.errors import Conflict, Invalid, Unavailable
from umbel.media.ports import OnFeedback, Packets, PacketSink
from umbel.media.rtp import feedback as feedbacks
from umbel.media.rtp.errors import BadSource
from umbel.media.rtp.feedback import Aggregate, Feedback, PictureRequest
from umbel.media.rtp.rate import RateMeter
from umbel.media.wire import datagrams, source_filter
from umbel.media.wire.datagrams import Ring
from umbel.media.wire.hops import Hop, HopStats, bound_socket
from umbel.media.wire.pump import pump_of

log = structlog.get_logger(__name__)

_READS_A_WAKEUP = 4
_RATE_WINDOW_S = 3.0
_RATE_MARK_S = 0.5
_HEAR_S = 0.25


class PortTaken(Conflict):
    """Another socket uses that UDP port."""

    code = "umbel.port_taken"


class AddressUnusable(Unavailable):
    """This machine cannot use that address."""

    code = "umbel.address_unusable"


class BadHop(Invalid):
    """A hop must have an IP address and a port from 1 to 65535."""

    code = "umbel.bad_hop"


@dataclass(frozen=True, kw_only=True)
class UdpStats:
    """What went through since the start; `mbps` over the last seconds."""

    packets: int
    bytes: int
    mbps: float


class _Meter:
    """Counts packets and bytes, and knows the rate of the last seconds."""

    def __init__(self) -> None:
        self.packets = 0
        self.bytes = 0
        self._rate = RateMeter(_RATE_WINDOW_S)
        self._next_mark_s = float("-inf")

    def add(self, packets: int, size: int, now_s: float) -> None:
        if now_s >= self._next_mark_s:
            self._next_mark_s = now_s + _RATE_MARK_S
            self._rate.mark(now_s, self.bytes)
        self.packets += packets
        self.bytes += size

    def stats(self, now_s: float) -> UdpStats:
        size, span_s = self._rate.since(now_s, self.bytes)
        mbps = size * 8 / max(span_s, _RATE_MARK_S) / 1e6
        return UdpStats(packets=self.packets, bytes=self.bytes, mbps=mbps)


class _Rings(threading.local):
    """One ring for what came in and one for what was given as bytes, shared by all of a thread:
    each is used up before the next socket's turn."""

    def __init__(self) -> None:
        self.received = Ring()
        self.filled = Ring()


_rings = _Rings()


class UdpSender:
    """A PacketSink that sends every packet to every hop, from a port of its own per hop."""

    def __init__(self, source: str = "", on_feedback: OnFeedback | None = None) -> None:
        """`source` is the address to send from; empty: the kernel's choice. `on_feedback` hears
        what the hops report by RTCP, all as one, within 250 ms while there is something to send."""
        self._source = source
        self._on_feedback = on_feedback
        self._aggregate = Aggregate()
        self._hear_s = float("-inf")
        self._hops: dict[tuple[str, int], Hop] = {}
        self._up: tuple[Hop, ...] = ()
        self._down: tuple[Hop, ...] = ()
        self._meter = _Meter()
        self._offered = 0

    @property
    def hops(self) -> tuple[tuple[str, int], ...]:
        """The destinations now."""
        return tuple(self._hops)

    def set_hops(self, hops: Iterable[tuple[str, int]]) -> None:
        """From the next packet on, send to exactly these. Raises BadHop, and then changes nothing.

        A hop that stays keeps its socket and its counts.
        """
        wanted = dict.fromkeys(_checked(hops))
        new = self._made(wanted.keys() - self._hops.keys())
        gone = [hop for key, hop in self._hops.items() if key not in wanted]
        kept = {key: new.get(key) or self._hops[key] for key in wanted}
        was_up = set(self._up)
        self._hops = kept
        self._up = tuple(hop for hop in kept.values() if hop in was_up or hop.connect(0.0))
        self._down = tuple(hop for hop in kept.values() if hop not in self._up)
        for hop in gone:
            hop.socket.close()

    def packets(self, batch: Packets, now_s: float) -> None:
        """Send copies. Empty packets and those above 65000 bytes are left out."""
        if not self._hops:
            return
        ring = _rings.filled
        good = [data for data in batch if 0 < len(data) <= datagrams.MOST_BYTES]
        while good:
            del good[: ring.fill(good)]
            self._send(ring, now_s)

    def forward(self, ring: Ring, now_s: float) -> None:
        """Send what is in a receiver's ring, without copying it."""
        if not self._hops:
            return
        if 0 in ring.lengths:
            self.packets(ring.datagrams(), now_s)
        else:
            self._send(ring, now_s)

    def stats(self, now_s: float) -> UdpStats:
        """What left, over all hops together."""
        return self._meter.stats(now_s)

    def hop_stats(self) -> list[HopStats]:
        """What each hop got."""
        return [hop.stats(self._offered) for hop in self._hops.values()]

    def close(self) -> None:
        """Stop sending and close the sockets."""
        self.set_hops(())

    def _made(self, keys: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Hop]:
        made: dict[tuple[str, int], Hop] = {}
        try:
            for address, port in keys:
                made[address, port] = Hop(address, port, self._source)
                made[address, port].before = self._offered
        except OSError as error:
            for hop in made.values():
                hop.socket.close()
            raise AddressUnusable(f"cannot send from {self._source}: {error.strerror}") from error
        return made

    def _send(self, ring: Ring, now_s: float) -> None:
        if self._down:
            self._reconnect(now_s)
        if now_s >= self._hear_s:
            self._hear(now_s)
        self._offered += ring.count
        ring.arrange()
        messages, lost = len(ring.messages), 0
        for hop in self._up:
            result = ring.send(hop.descriptor, 0) if hop.segmented else 0
            if result != messages:
                before = hop.dropped
                if hop.segmented:
                    hop.resume(ring, result)
                else:
                    hop.send_singly(ring, 0)
                lost += hop.dropped - before
        for hop in self._down:
            hop.dropped += ring.count
        sent = ring.count * len(self._up) - lost
        self._meter.add(sent, ring.total * sent // ring.count, now_s)

    def _hear(self, now_s: float) -> None:
        """Read what the hops report. By the clock: it is rare, and a hop's errors are not."""
        self._hear_s = now_s + _HEAR_S
        if self._on_feedback is None:
            return
        for hop in self._up:
            for one in hop.receive_feedback():
                passed = self._aggregate.throttled(one, now_s)
                if passed is not None:
                    self._on_feedback(passed, now_s)

    def _reconnect(self, now_s: float) -> None:
        back = {hop for hop in self._down if hop.retry_s <= now_s and hop.connect(now_s)}
        if back:
            self._up += tuple(back)
            self._down = tuple(hop for hop in self._down if hop not in back)


class UdpReceiver:
    """A PacketSource: one bound port. Sinks are called in the order they were attached."""

    def __init__(self, bound: socket.socket) -> None:
        """Use `open`."""
        self.address, self.port = bound.getsockname()[:2]
        self._socket = bound
        self._descriptor = bound.fileno()
        self._senders: tuple[UdpSender, ...] = ()
        self._sinks: tuple[PacketSink, ...] = ()
        self._meter = _Meter()
        self._ssrc = secrets.randbits(32)
        self._aggregate = Aggregate()
        self._waiting: list[Feedback] = []
        self.pictures_requested = 0
        self.sources: tuple[str, ...] = ()
        self._pump = pump_of(asyncio.get_running_loop())
        self._pump.add(self._descriptor, self._read)

    @classmethod
    async def open(cls, address: str, port: int = 0) -> "UdpReceiver":
        """Bind `address`:`port` (0: any free one) and read, from any host until `set_sources`.
        Raises PortTaken, AddressUnusable."""
        try:
            bound = bound_socket(address, address, port, receive=True)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"UDP port {port} of {address} is taken") from error
            raise AddressUnusable(f"cannot listen on {address}: {error.strerror}") from error
        datagrams.join_incoming(bound)
        return cls(bound)

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
            self._waiting = [one for one in self._waiting if type(one) is not type(passed)]
            self._waiting.append(passed)

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
        ring = _rings.received
        for _ in range(_READS_A_WAKEUP):
            slots = ring.receive(self._descriptor)
            if slots <= 0:
                break
            self._meter.add(ring.count, ring.total, now_s)
            self._give(ring, now_s)
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

    def _give(self, ring: Ring, now_s: float) -> None:
        for sender in self._senders:
            sender.forward(ring, now_s)
        if not self._sinks:
            return
        batch = ring.datagrams()
        for sink in self._sinks:
            try:
                sink.packets(batch, now_s)
            except Exception:
                log.exception("a sink failed", port=self.port, sink=type(sink).__name__)


def _checked(hops: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    for address, port in hops:
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise BadHop(f"not an IP address: {address}") from error
        if not 0 < port < 65536:
            raise BadHop(f"not a port: {port}")
        yield address, port
