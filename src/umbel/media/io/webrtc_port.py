"""One UDP socket for every WebRTC client of a media server.

In: offers, streams to watch, sinks to publish to, datagrams. Out: answers, datagrams, what ended.
Clients are distinguished by the user name of their checks, then by address. The endpoint itself is
umbel.media.webrtc, which does no I/O; this module owns the socket and the timers.
"""

import asyncio
import errno
import secrets
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from umbel.kit.clock import Clock, SystemClock
from umbel.kit.errors import NotFound
from umbel.media.ports import PacketSink
from umbel.media.rtp.arrivals import Arrived
from umbel.media.rtp.packet import MalformedPacket
from umbel.media.rtp.stream import LiveStream
from umbel.media.webrtc import answer, ice, negotiate, reports, sdp
from umbel.media.webrtc.answer import Local, SourceAttributes
from umbel.media.webrtc.batch import Batch, Run
from umbel.media.webrtc.dtls import Identity
from umbel.media.webrtc.endpoint import Endpoint
from umbel.media.webrtc.ice import Address
from umbel.media.webrtc.publisher import Publisher
from umbel.media.webrtc.reports import Answer, PeerStats, PublishPhase, PublishState
from umbel.media.webrtc.transport import TransportState
from umbel.media.webrtc.viewer import Viewer

log = structlog.get_logger(__name__)

_TICK_S = 0.1
_PACE_S = 0.005
_GATHER_S = 0.002
_MOST_GATHERED = 40
_LONGEST_DATAGRAM = 2048
_MOST_READ_AT_ONCE = 128
_BUFFER_BYTES = 4 << 20
_UDP_SEGMENT = 103  # linux/udp.h; the socket module does not name it
_CONTROL = struct.Struct("=H")
_NO_SEGMENTS = frozenset({errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP})


class UnknownResource(NotFound):
    """There is no such WebRTC session."""

    code = "umbel.unknown_webrtc_session"


@dataclass(kw_only=True, eq=False)
class _Entry:
    """A client, and what the port needs to know of it."""

    resource: str
    peer: Viewer | Publisher
    session: str = ""
    fan: "_Fan | None" = None
    on_end: Callable[[str], None] | None = None
    on_state: Callable[[PublishState], None] | None = None
    phase: PublishPhase | None = None
    ufrags: list[str] = field(default_factory=list)
    addresses: set[Address] = field(default_factory=set)


class WebRtcPort:
    """Every WHEP viewer and WHIP publisher of a process."""

    def __init__(self, sock: socket.socket, identity: Identity, clock: Clock) -> None:
        self.address, self.port = sock.getsockname()[:2]
        self.dropped = 0
        self._socket = sock
        self._identity = identity
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._by_ufrag: dict[str, _Entry] = {}
        self._by_address: dict[Address, _Entry] = {}
        self._fans: dict[int, _Fan] = {}
        self._takes_segments = _takes_segments(sock)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)
        self._ticker = self._loop.call_later(_TICK_S, self._tick)
        self._pacer: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, address: str, port: int = 0, *, clock: Clock | None = None) -> "WebRtcPort":
        """Bind the socket; port 0 takes a free one. Raises OSError."""
        clock = clock or SystemClock()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
            sock.bind((address, port))
        except OSError:
            sock.close()
            raise
        return cls(sock, Identity(clock.now_s()), clock)

    def watch(
        self, offer_sdp: str, stream: LiveStream, *, session: str, on_end: Callable[[str], None]
    ) -> Answer:
        """Let a client watch. `on_end(reason)` is called once, when it left or was lost.

        Raises MalformedSdp, UnsupportedOffer, UnsupportedCodec.
        """
        video = stream.video
        offer = sdp.parse_offer(offer_sdp)
        plan = negotiate.for_viewer(offer, video.profile_level_id, video.payload_type)
        viewer = Viewer(plan, stream, self._identity, self.now_s())
        fan = self._fans.get(id(stream))
        if fan is None:
            fan = self._fans[id(stream)] = _Fan(self, stream)
        entry = self._enter(viewer, session=session)
        entry.fan, entry.on_end = fan, on_end
        fan.viewers.append(viewer)
        return self._answer(entry, plan, viewer.sources)

    def publish(
        self, offer_sdp: str, sink: PacketSink, *, on_state: Callable[[PublishState], None]
    ) -> Answer:
        """Let a client publish to the sink. `on_state` tells each phase once, ENDED last.

        Raises MalformedSdp, UnsupportedOffer, UnsupportedCodec.
        """
        plan = negotiate.for_publisher(sdp.parse_offer(offer_sdp))
        publisher = Publisher(plan, sink, self._identity, self.now_s())
        entry = self._enter(publisher, session="")
        entry.on_state = on_state
        return self._answer(entry, plan, {})

    def trickle(self, resource: str, fragment: str) -> str | None:
        """Take a fragment (RFC 8840); the answer's fragment when it restarts ICE, else None.

        Candidates are read and not used: a lite end learns them from checks. Raises MalformedSdp,
        UnknownResource.
        """
        entry = self._entry(resource)
        trickled = sdp.parse_fragment(fragment)
        transport = entry.peer.transport
        if not trickled.ufrag or transport.is_current(trickled.ufrag):
            return None
        transport.restart(trickled.ufrag)
        self._know(entry)
        return answer.write_restart(self._local(entry), trickled.mid)

    def request_picture(self, resource: str) -> None:
        """Ask a publisher for a key picture (PLI), at most once a second. A client that
        is gone, or watches, is not asked."""
        entry = self._entries.get(resource)
        if entry is not None and isinstance(entry.peer, Publisher):
            entry.peer.request_picture(self.now_s())
            self._settle(entry, self.now_s())

    def arrived(self, resource: str) -> Arrived:
        """How many of a publisher's packets came; nothing where it is gone."""
        entry = self._entries.get(resource)
        if entry is None or not isinstance(entry.peer, Publisher):
            return Arrived()
        return entry.peer.arrived

    def delete(self, resource: str) -> None:
        """End a client's session. Raises UnknownResource."""
        entry = self._entry(resource)
        entry.peer.close("deleted")
        self._settle(entry, self.now_s())

    def stats(self) -> tuple[PeerStats, ...]:
        """Every client, in the order they came."""
        return tuple(
            reports.stats_of(one.peer, resource=one.resource, session=one.session)
            for one in self._entries.values()
        )

    async def close(self) -> None:
        """End every session and close the socket."""
        for resource in list(self._entries):
            self.delete(resource)
        self._ticker.cancel()
        if self._pacer is not None:
            self._pacer.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def send(self, datagrams: Sequence[bytes], runs: Iterable[Run], address: Address) -> None:
        """Send datagrams, each run with one system call where the kernel can do that."""
        for start, stop in runs:
            is_run = stop - start > 1 and self._takes_segments
            if is_run and self._send_run(datagrams[start:stop], address):
                continue
            for datagram in datagrams[start:stop]:
                self._send_one(datagram, address)

    def now_s(self) -> float:
        """Steady time."""
        return self._clock.monotonic_s()

    def fan_is_empty(self, stream: LiveStream) -> None:
        """The last viewer of a stream is gone."""
        self._fans.pop(id(stream), None)

    def _send_run(self, datagrams: Sequence[bytes], address: Address) -> bool:
        size = _CONTROL.pack(len(datagrams[0]))
        try:
            control = [(socket.IPPROTO_UDP, _UDP_SEGMENT, size)]
            self._socket.sendmsg(datagrams, control, 0, address)
        except BlockingIOError:
            self.dropped += len(datagrams)
        except OSError as error:
            self._takes_segments = error.errno not in _NO_SEGMENTS
            return False
        return True

    def _send_one(self, datagram: bytes, address: Address) -> None:
        try:
            self._socket.sendto(datagram, address)
        except OSError:
            # A full buffer or a lost route: to the client both are packets that never came.
            self.dropped += 1

    def _enter(self, peer: Viewer | Publisher, *, session: str) -> _Entry:
        entry = _Entry(resource=secrets.token_hex(16), peer=peer, session=session)
        self._entries[entry.resource] = entry
        self._know(entry)
        return entry

    def _know(self, entry: _Entry) -> None:
        ufrag = entry.peer.transport.credentials.ufrag
        entry.ufrags.append(ufrag)
        self._by_ufrag[ufrag] = entry

    def _entry(self, resource: str) -> _Entry:
        entry = self._entries.get(resource)
        if entry is None:
            raise UnknownResource
        return entry

    def _local(self, entry: _Entry) -> Local:
        transport = entry.peer.transport
        return Local(
            ufrag=transport.credentials.ufrag,
            password=transport.credentials.password,
            fingerprint=self._identity.fingerprint,
            setup=transport.setup,
            address=self.address,
            port=self.port,
        )

    def _answer(
        self, entry: _Entry, plan: negotiate.Plan, sources: dict[str, SourceAttributes]
    ) -> Answer:
        text = answer.write(plan, self._local(entry), sources, secrets.randbits(62))
        return Answer(sdp=text, resource=entry.resource)

    def _readable(self) -> None:
        now_s = self.now_s()
        for _ in range(_MOST_READ_AT_ONCE):
            try:
                data, address = self._socket.recvfrom(_LONGEST_DATAGRAM)
            except OSError:
                return
            entry = self._find(data, address)
            if entry is not None:
                entry.peer.receive_datagram(data, address, now_s)
                self._settle(entry, now_s)

    def _find(self, data: bytes, address: Address) -> _Entry | None:
        if not ice.is_stun(data):
            return self._by_address.get(address)
        try:
            return self._by_ufrag.get(ice.addressed_to(ice.parse(data)))
        except MalformedPacket:
            return None

    def _settle(self, entry: _Entry, now_s: float) -> None:
        """Do what a peer wants after it took something in."""
        transport = entry.peer.transport
        for data, address in entry.peer.datagrams_to_send():
            self._send_one(data, address)
        if not transport.addresses <= entry.addresses:
            entry.addresses |= transport.addresses
            self._by_address.update(dict.fromkeys(transport.addresses, entry))
        if isinstance(entry.peer, Publisher):
            self._tell(entry, entry.peer)
        if transport.state is TransportState.CLOSED:
            self._forget(entry)
        elif self._pacer is None and self._is_urgent(entry, now_s):
            self._pace(now_s)

    def _tell(self, entry: _Entry, publisher: Publisher) -> None:
        phase = reports.phase_of(publisher)
        if phase is entry.phase or entry.on_state is None:
            return
        entry.phase = phase
        if phase is not None:
            entry.on_state(reports.publish_state(publisher, phase))

    def _forget(self, entry: _Entry) -> None:
        if self._entries.pop(entry.resource, None) is None:
            return
        for ufrag in entry.ufrags:
            del self._by_ufrag[ufrag]
        for address in entry.addresses:
            if self._by_address.get(address) is entry:
                del self._by_address[address]
        if entry.fan is not None and isinstance(entry.peer, Viewer):
            entry.fan.remove(entry.peer)
        log.info("webrtc ended", session=entry.session, reason=entry.peer.transport.reason)
        if entry.on_end is not None:
            entry.on_end(entry.peer.transport.reason)

    def _tick(self) -> None:
        self._ticker = self._loop.call_later(_TICK_S, self._tick)
        now_s = self.now_s()
        for entry in list(self._entries.values()):
            entry.peer.handle_timer(now_s)
            self._settle(entry, now_s)

    def _is_urgent(self, entry: _Entry, now_s: float) -> bool:
        """Whether it must be served before the next tick."""
        peer: Endpoint = entry.peer
        return peer.next_deadline_s(now_s) <= now_s

    def _pace(self, now_s: float) -> None:
        """Serve the few clients that wait for less than a tick."""
        self._pacer = None
        urgent = [entry for entry in self._entries.values() if self._is_urgent(entry, now_s)]
        if urgent:
            self._pacer = self._loop.call_later(_PACE_S, self._pace_later)
        for entry in urgent:
            entry.peer.handle_timer(now_s)
            if isinstance(entry.peer, Viewer):
                self.send_media(entry.peer, *entry.peer.pace(now_s))
            self._settle(entry, now_s)

    def _pace_later(self) -> None:
        self._pace(self.now_s())

    def send_media(self, viewer: Viewer, datagrams: list[bytes], runs: tuple[Run, ...]) -> None:
        """Send a viewer's packets where it is."""
        address = viewer.transport.address
        if datagrams and address is not None:
            self.send(datagrams, runs, address)


class _Fan:
    """Gives one stream's packets to its viewers on a port, whole pictures at a time.

    A decoder waits for a picture's last packet anyway, and one system call carries a picture for
    less than two carry its halves; so packets wait for their picture's end, but never long.
    """

    def __init__(self, port: WebRtcPort, stream: LiveStream) -> None:
        self.viewers: list[Viewer] = []
        self._port = port
        self._stream = stream
        self._gathered: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        stream.attach(self)

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        self._gathered += batch
        if len(self._gathered) >= _MOST_GATHERED or batch[-1][1] & 0x80:
            self._give(now_s)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_S, self._give_late)

    def remove(self, viewer: Viewer) -> None:
        """The viewer is gone; so is the fan with its last one."""
        self.viewers = [one for one in self.viewers if one is not viewer]
        if not self.viewers:
            self._stream.detach(self)
            self._port.fan_is_empty(self._stream)
            if self._timer is not None:
                self._timer.cancel()

    def _give(self, now_s: float) -> None:
        shared = Batch(self._gathered, self._stream)
        self._gathered = []
        for viewer in self.viewers:
            self._port.send_media(viewer, *viewer.media(shared, now_s))

    def _give_late(self) -> None:
        self._timer = None
        if self._gathered:
            self._give(self._port.now_s())


def _takes_segments(sock: socket.socket) -> bool:
    """Whether the kernel cuts one send into datagrams (UDP_SEGMENT, Linux 4.18)."""
    try:
        sock.getsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT)
    except OSError:
        return False
    return True
