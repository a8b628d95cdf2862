"""The sending end of every hop of a tree: what it is given goes to its hops.

Each hop has a connected socket of its own, so that a slow or refusing one harms no other hop.
Neighbours: hops.py and datagrams.py below, receiver.py at the other end, media/ports.py between.
"""

import ipaddress
import select
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from umbel.kit.errors import Invalid
from umbel.media.ports import OnFeedback, Packets
from umbel.media.rtp.feedback import Aggregate, Feedback, PacketsMissed
from umbel.media.rtp.hop_srtp import Protector
from umbel.media.wire import datagrams
from umbel.media.wire.datagrams import Ring, rings
from umbel.media.wire.hops import AddressUnusable, Hop, HopStats
from umbel.media.wire.meter import Meter, UdpStats
from umbel.media.wire.recent import Recent

_HEAR_S = 0.02
_PAUSED_S = 1.0
"""Without a packet for so long, a stream pauses: what was sent before is no beginning."""


class BadHop(Invalid):
    """A hop must have an IP address and a port from 1 to 65535."""

    code = "umbel.bad_hop"


class _Reports(threading.local):
    """Reads what the hops of all a thread's senders report. By the clock: it is rare, and a hop's
    errors are not. With poll: the kernel calls an epoll set for each packet that a socket sent."""

    def __init__(self) -> None:
        self.next_s = float("-inf")
        self._poll = select.poll()
        self._read: dict[int, Callable[[float], None]] = {}

    def add(self, descriptor: int, read: Callable[[float], None]) -> None:
        """Call `read` with the time when there is something at the descriptor."""
        self._read[descriptor] = read
        self._poll.register(descriptor, select.POLLIN)

    def remove(self, descriptor: int) -> None:
        """Forget a descriptor, before it is closed."""
        self._poll.unregister(descriptor)
        del self._read[descriptor]

    def read(self, now_s: float) -> None:
        """Have what is there read."""
        self.next_s = now_s + _HEAR_S
        for descriptor, _ in self._poll.poll(0):
            if descriptor in self._read:
                self._read[descriptor](now_s)


_reports = _Reports()


class UdpSender:
    """A PacketSink that sends every packet to every hop, from a port of its own per hop."""

    def __init__(
        self, source: str = "", on_feedback: OnFeedback | None = None, *, remembers: bool = False
    ) -> None:
        """`source` is the address to send from; empty: the kernel's choice. `on_feedback` hears
        what the hops report by RTCP, all as one, within 20 ms while there is something to send.
        Packets that a hop misses are sent to it again; those that are not remembered here are
        reported, too. One that `remembers` does so without a hop, too: for a first one's burst."""
        self._source = source
        self._on_feedback = on_feedback
        self._remembers = remembers
        self.protector: Protector | None = None
        """What protects packets on their way out; None: they leave as they come."""
        self._aggregate = Aggregate()
        self._recent = Recent()
        self._hops: dict[tuple[str, int], Hop] = {}
        self._up: tuple[Hop, ...] = ()
        self._down: tuple[Hop, ...] = ()
        self._meter = Meter()
        self._offered, self._offered_s = 0, float("-inf")

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
            for descriptor in hop.descriptors:
                _reports.remove(descriptor)
            hop.close()
        for hop in new.values():
            for descriptor in hop.descriptors:
                _reports.add(descriptor, partial(self._hear, hop))

    def burst(self, hops: Iterable[tuple[str, int]], now_s: float) -> None:
        """Send to these what was sent since the last key picture but one: they need not wait for
        the next. Nothing where the stream pauses, or is protected: then nothing tells a picture."""
        begun = [hop for key in hops if (hop := self._hops.get(key)) in self._up and hop]
        if begun and self.protector is None and now_s - self._offered_s < _PAUSED_S:
            groups = self._recent.groups()
            for hop in begun:
                hop.begin(groups)

    def packets(self, batch: Packets, now_s: float) -> None:
        """Send copies. Empty packets and those above 65000 bytes are left out."""
        if not self._hops and not self._remembers:
            return
        if self.protector is not None:
            batch = self.protector.protect(batch, now_s)
        ring = rings.filled
        good = [data for data in batch if 0 < len(data) <= datagrams.MOST_BYTES]
        while good:
            del good[: ring.fill(good)]
            self._send(ring, now_s)

    def forward(self, ring: Ring, now_s: float) -> None:
        """Send what is in a receiver's ring, without copying it."""
        if not self._hops and not self._remembers:
            return
        if 0 in ring.lengths or self.protector is not None:
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
                hop.close()
            raise AddressUnusable(f"cannot send from {self._source}: {error.strerror}") from error
        return made

    def _send(self, ring: Ring, now_s: float) -> None:
        self._offered_s = now_s
        if not self._hops:
            self._recent.put(ring)
            return
        if self._down:
            self._reconnect(now_s)
        if now_s >= _reports.next_s:
            _reports.read(now_s)
        self._offered += ring.count
        self._recent.put(ring)
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

    def _hear(self, hop: Hop, now_s: float) -> None:
        for one, receiver in hop.receive_feedback():
            self._reported(hop, one, receiver, now_s)

    def _reported(
        self, hop: Hop, feedback: Feedback, receiver: tuple[str, int] | None, now_s: float
    ) -> None:
        """What the hop missed is sent again, to the one of its receivers that missed it where the
        network copies; all else is for who feeds this sender."""
        if isinstance(feedback, PacketsMissed):
            found = self._recent.find(feedback.ssrc, feedback.sequences)
            hop.resend(found.values(), now_s, receiver)
            feedback = PacketsMissed(
                feedback.ssrc, tuple(s for s in feedback.sequences if s not in found)
            )
            if not feedback.sequences:
                return
        passed = self._aggregate.throttled(feedback, now_s)
        if passed is not None and self._on_feedback is not None:
            self._on_feedback(passed, now_s)

    def _reconnect(self, now_s: float) -> None:
        back = {hop for hop in self._down if hop.retry_s <= now_s and hop.connect(now_s)}
        if back:
            self._up += tuple(back)
            self._down = tuple(hop for hop in self._down if hop not in back)


def _checked(hops: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    for address, port in hops:
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise BadHop(f"not an IP address: {address}") from error
        if not 0 < port < 65536:
            raise BadHop(f"not a port: {port}")
        yield address, port
