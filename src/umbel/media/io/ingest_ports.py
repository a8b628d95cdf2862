"""The ports of one stream: UDP sockets here (MPEG-TS, RTP), an SRT listener in a worker.

In: datagrams and SRT callers. Out: the stream's claim and its publication's input. Ports without
keys listen to the first sender, of those that the provider named; an SRT caller's stream id is its
key.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

import structlog

from umbel.kit import backoff
from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError, Unavailable
from umbel.media.ingest import keys, sources
from umbel.media.ingest.arrivals import DatagramCounter
from umbel.media.ingest.keys import AlreadyPublishing
from umbel.media.ingest.sender_lock import SenderAddress, SenderBan, SenderLock
from umbel.media.ingest.sources import Network
from umbel.media.ports import Packets
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.arrivals import Arrived
from umbel.media.wire import hops
from umbel.media.workers.forks import WorkerLost
from umbel.media.workers.host import Message, WorkerCallbacks, WorkerProcess
from umbel.media.workers.pool import WorkerPool
from umbel.media.workers.publication import Publication

log = structlog.get_logger(__name__)

_RECEIVE_BYTES = 2_097_152
_MOST_REMEMBERED = 64
_SRT_SILENCE_S = 6.0
_SRT_TRIES = 3
_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 5.0
_TS_SYNC = 0x47
_TS_PAYLOAD_TYPE = 33


class NoPort(Unavailable):
    """No port could be opened."""

    code = "umbel.no_port"


class HeldClaim(Protocol):
    """A claim, as a port sees it. `arrived` says how many of the publisher's packets came."""

    arrived: Callable[[], Arrived]

    @property
    def held(self) -> bool:
        """Whether it still holds."""

    def release(self) -> None:
        """The publisher is gone."""


class IngestPolicy(Protocol):
    """What a port asks the desk."""

    protocol: str

    @property
    def name(self) -> str:
        """The stream's name."""

    @property
    def sources(self) -> tuple[Network, ...]:
        """From where publishers without a key are taken; none: from anywhere."""

    def closed(self) -> UmbelError | None:
        """Why no publisher is accepted now."""

    def refuse(self, error: UmbelError) -> None:
        """Report that a publisher was refused."""

    def enter(self, key: str, on_revoked: Callable[[], None]) -> tuple[HeldClaim, Publication]:
        """Become the publisher. Raises UmbelError, such as WrongStreamKey where there are keys."""


class UdpPort(asyncio.DatagramProtocol):
    """One UDP socket for MPEG-TS or RTP."""

    def __init__(self, policy: IngestPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._lock = SenderLock()
        self._ban = SenderBan()
        self._claim: HeldClaim | None = None
        self._publication: Publication | None = None
        self._counter = DatagramCounter()
        self._refused: set[SenderAddress] = set()
        self._transport: asyncio.DatagramTransport | None = None
        self.number = 0

    @classmethod
    async def open(cls, address: str, wanted: int, policy: IngestPolicy, clock: Clock) -> "UdpPort":
        """Bind the wanted port, or any when it is taken. Raises NoPort."""
        port = cls(policy, clock)
        sock = _bind(address, wanted)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        port.number = sock.getsockname()[1]
        loop = asyncio.get_running_loop()
        port._transport, _ = await loop.create_datagram_endpoint(lambda: port, sock=sock)
        return port

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A datagram from anybody."""
        channel = self._channel(data)
        if channel is None:
            return
        source = (addr[0], addr[1])
        now_s = self._clock.monotonic_s()
        if self._ban.holds(source[0], now_s):
            return
        if not sources.includes(self._policy.sources, source[0]):
            self._turn_away(source, sources.ForeignSource(stream=self._policy.name))
            return
        if self._claim is None and not self._enter(source, channel, now_s):
            return
        if not self._lock.admits(source, channel, now_s):
            self._turn_away(source, AlreadyPublishing(stream=self._policy.name))
        elif self._publication is not None:
            self._counter.count(data)
            self._publication.feed(data)

    def handle_timer(self, now_s: float) -> None:
        """Let a publisher go that has fallen silent."""
        if self._claim is not None and self._lock.silent(now_s):
            claim = self._claim
            self._forget()
            claim.release()

    async def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

    def _channel(self, data: bytes) -> int | None:
        """Which of the publisher's sockets may have sent it; None when it is not for this port."""
        if self._policy.protocol == "mpegts" and data[:1] == bytes((_TS_SYNC,)):
            return 0
        if len(data) < rtp.HEADER_BYTES or data[0] >> 6 != 2:
            return None
        if rtp.is_rtcp(data):
            return -1
        kind = rtp.payload_type(data)
        return kind if self._policy.protocol == "rtp" or kind == _TS_PAYLOAD_TYPE else None

    def _enter(self, source: SenderAddress, channel: int, now_s: float) -> bool:
        if channel < 0:
            return False
        error = self._policy.closed()
        # Whom the provider named may take over at once: a second encoder stands by.
        if error is None and not self._policy.sources and self._lock.is_reserved(source[0], now_s):
            error = AlreadyPublishing(stream=self._policy.name)
        if error is not None:
            self._turn_away(source, error)
            return False
        self._claim, self._publication = self._policy.enter("", self._revoked)
        self._counter = counter = DatagramCounter()
        self._claim.arrived = lambda: counter.arrived
        self._refused.clear()
        return True

    def _turn_away(self, source: SenderAddress, error: UmbelError) -> None:
        """Once for each sender, not for each packet."""
        if source not in self._refused and len(self._refused) < _MOST_REMEMBERED:
            self._refused.add(source)
            self._policy.refuse(error)

    def _revoked(self) -> None:
        # What it sends cannot be taken: do not start over with its next packet.
        self._ban.put(self._lock.host, self._clock.monotonic_s())
        self._forget()
        self._lock.forget()

    def _forget(self) -> None:
        self._claim = self._publication = None
        self._lock.release()
        self._refused.clear()


class SrtPort:
    """An SRT listener in a worker of its own, replaced on the same port when it is lost."""

    def __init__(
        self, address: str, number: int, policy: IngestPolicy, workers: WorkerPool
    ) -> None:
        self._uri = f"srt://{address}:{number}?mode=listener"
        self.number = number
        self._policy = policy
        self._workers = workers
        self._clock = workers.clock
        self._worker: WorkerProcess | None = None
        self._claim: HeldClaim | None = None
        self._publication: Publication | None = None
        self._heard_s = 0.0
        self._arrived = Arrived()
        self._keeper: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, address: str, wanted: int, policy: IngestPolicy, workers: WorkerPool
    ) -> "SrtPort":
        """Listen on the wanted port, or any when it is taken. Raises NoPort."""
        for _ in range(_SRT_TRIES):
            # SRT binds by itself and cannot tell a port it chose: find a free one for it.
            with _bind(address, wanted) as probe:
                number = probe.getsockname()[1]
            port = cls(address, number, policy, workers)
            try:
                await port._start()
            except WorkerLost:
                wanted = 0
                continue
            port._keeper = asyncio.create_task(port._keep(), name=f"srt {number}")
            return port
        raise NoPort

    def handle_timer(self, now_s: float) -> None:
        """Let a caller go that is connected and silent; ask SRT what it counted."""
        if self._claim is not None:
            self._tell({"op": "stats"})
        if self._claim is not None and now_s - self._heard_s > _SRT_SILENCE_S:
            self._kick()
            self._leave()

    async def close(self) -> None:
        """Stop listening."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        if self._worker is not None:
            await self._worker.close()

    async def _start(self) -> None:
        callbacks = WorkerCallbacks(on_packets=self._on_packets, on_message=self._on_message)
        options = {"kind": "srt", "uri": self._uri}
        worker = await self._workers.start(options, callbacks)
        try:
            await worker.until_ready()
        except asyncio.CancelledError:
            await worker.close()
            raise
        self._worker = worker

    async def _keep(self) -> None:
        failures = 0
        while True:
            if self._worker is not None:
                await asyncio.wait({self._worker.exited})
                await self._worker.close()
                self._worker = None
                self._leave()
                log.warning("SRT listener lost", stream=self._policy.name)
            try:
                await self._start()
                failures = 0
            except WorkerLost:
                failures += 1
                draw = backoff.draw(self._uri, failures)
                await asyncio.sleep(
                    backoff.wait_s(
                        failures, draw, first_s=_FIRST_BACKOFF_S, longest_s=_LONGEST_BACKOFF_S
                    )
                )

    def _on_packets(self, batch: Packets) -> None:
        self._heard_s = self._clock.monotonic_s()
        if self._publication is not None:
            for data in batch:
                self._publication.feed(data)

    def _on_message(self, message: Message) -> None:
        if message["event"] == "caller":
            accept = self._admit(message["stream_id"])
            self._tell({"op": "answer", "id": message["id"], "accept": accept})
        elif message["event"] == "stats":
            self._arrived = Arrived(expected=message["expected"], lost=message["lost"])
        elif message["event"] == "gone":
            if self._worker is not None:
                self._worker.drain()
            self._leave()

    def _admit(self, stream_id: str) -> bool:
        key = keys.from_srt(stream_id)
        try:
            self._claim, self._publication = self._policy.enter(key, self._revoked)
        except UmbelError:
            return False
        self._arrived = Arrived()
        self._claim.arrived = lambda: self._arrived
        self._heard_s = self._clock.monotonic_s()
        return True

    def _revoked(self) -> None:
        self._claim = self._publication = None
        self._kick()

    def _kick(self) -> None:
        self._tell({"op": "kick"})

    def _tell(self, message: Message) -> None:
        if self._worker is not None:
            self._worker.send(message)

    def _leave(self) -> None:
        claim, self._claim = self._claim, None
        self._publication = None
        if claim is not None:
            claim.release()


def _bind(address: str, wanted: int) -> socket.socket:
    for number in (wanted, 0):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            hops.bind(sock, address, number)
        except OSError:
            sock.close()
            continue
        sock.setblocking(False)
        return sock
    raise NoPort(f"no UDP port on {address}")
