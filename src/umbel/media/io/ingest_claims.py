"""One admitted stream at the ingest desk: who publishes it, by which protocol, what it is.

In: claims from any protocol. Out: the publisher's RTP into the stream's sink, its IngestState.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, replace
from typing import Any

import structlog

from umbel.kit.errors import Conflict, UmbelError
from umbel.kit.keys import digest
from umbel.media.ingest import keys
from umbel.media.ingest.keys import AlreadyPublishing, WrongStreamKey
from umbel.media.ingest.sdp import RtpFormat
from umbel.media.ingest.sources import Network
from umbel.media.io.ingest_ports import SrtPort, UdpPort
from umbel.media.model import IngestState
from umbel.media.ports import Packets, PacketSink
from umbel.media.rtp.arrivals import Arrived, LossWindow
from umbel.media.workers.pool import WorkerPool
from umbel.media.workers.publication import Publication, PublicationCallbacks

log = structlog.get_logger(__name__)

OnEvent = Callable[[str, str], None]


class NotPublishing(Conflict):
    """No encoder is publishing the stream."""

    code = "umbel.not_publishing"


class Claim:
    """The right to publish a stream, until released. Given by `IngestDesk.claim`."""

    def __init__(
        self, stream: "AdmittedStream", protocol: str, key: str, on_revoked: Callable[[], None]
    ) -> None:
        self._stream = stream
        self.protocol = protocol
        self.key_hash = digest(key) if key else ""
        self.on_revoked = on_revoked
        self.on_picture: Callable[[], None] = lambda: None
        self.arrived: Callable[[], Arrived] = Arrived
        self.publication: Publication | None = None

    @property
    def held(self) -> bool:
        """Whether it is still the stream's publisher."""
        return self._stream.claim is self

    def update(self, **fields: Any) -> None:
        """Set fields of the stream's IngestState (a WHIP publisher that is passed through)."""
        if self.held:
            self._stream.show(fields)

    def fail(self, error: UmbelError) -> None:
        """End it, disconnect the publisher, and show why on the stream."""
        if self.held:
            self._stream.vacate(self, (error.code, error.message))
            self.on_revoked()

    def release(self) -> None:
        """The publisher is gone. Idempotent."""
        if self.held:
            self._stream.vacate(self)


class AdmittedStream:
    """One admitted stream."""

    def __init__(self, name: str, sink: PacketSink, workers: WorkerPool, on_event: OnEvent) -> None:
        self.name = name
        self.sink = sink
        self.key_hashes: tuple[str, ...] = ()
        self.sources: tuple[Network, ...] = ()
        self.formats: tuple[RtpFormat, ...] = ()
        self.state = IngestState()
        self.claim: Claim | None = None
        self.losses = LossWindow()
        self.ports: dict[str, UdpPort | SrtPort] = {}
        self._workers = workers
        self._clock = workers.clock
        self._on_event = on_event
        self._leaving: set[Publication] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def open_claim(self, protocol: str, key: str, on_revoked: Callable[[], None]) -> Claim:
        """Claim the stream. Raises AlreadyPublishing."""
        if self.claim is not None:
            self.refuse(AlreadyPublishing(protocol=self.claim.protocol), protocol)
            raise AlreadyPublishing(stream=self.name, protocol=self.claim.protocol)
        # What the publisher before has not given out yet would mix with the new one's media.
        for publication in self._leaving:
            self._later(publication.close())
        self._leaving.clear()
        self.claim = Claim(self, protocol, key, on_revoked)
        self.state = IngestState(protocol=protocol)
        self.losses = LossWindow()
        log.info("ingest started", stream=self.name, protocol=protocol)
        self._on_event(self.name, "started")
        return self.claim

    def vacate(self, claim: Claim, reason: tuple[str, str] | None = None) -> None:
        """The claim ends; `reason` when it failed."""
        self.claim = None
        self.state = IngestState(error=f"{reason[0]}: {reason[1]}" if reason else "")
        publication = claim.publication
        if publication is not None:
            publication.finish()
            self._leaving.add(publication)
            self._later(self._drain(publication))
        log.info("ingest stopped", stream=self.name, protocol=claim.protocol, reason=reason)
        if reason:
            self._on_event(self.name, "refused")
        self._on_event(self.name, "stopped")

    def refuse(self, error: UmbelError, protocol: str) -> None:
        """Tell once that somebody was turned away; an idle stream shows why."""
        log.warning("ingest refused", stream=self.name, protocol=protocol, code=error.code)
        if self.claim is None:
            self.state = IngestState(error=f"{error.code}: {error.message}")
        self._on_event(self.name, "refused")

    def request_picture(self, now_s: float) -> None:
        """A receiver needs a key picture."""
        if self.claim is None:
            return
        if self.claim.publication is not None:
            self.claim.publication.request_picture(now_s)
        else:
            self.claim.on_picture()

    def tick(self, now_s: float) -> None:
        """Look at what arrived."""
        if self.claim is not None:
            self.losses.sample(self.claim.arrived(), now_s)

    def show(self, fields: Mapping[str, Any]) -> None:
        """Show these fields of the state."""
        self.state = replace(self.state, **fields)
        self._on_event(self.name, "changed")

    def publish(
        self, claim: Claim, options: Mapping[str, Any], sink: PacketSink | None = None
    ) -> Publication:
        """Process what the claim's holder sends. `sink`: another place than the stream's."""

        def forward(packets: Packets) -> None:
            (sink or self.sink).packets(packets, self._clock.monotonic_s())

        def ended(reason: tuple[str, str] | None) -> None:
            if claim.held:
                self.vacate(claim, reason)
                claim.on_revoked()

        callbacks = PublicationCallbacks(
            on_packets=forward,
            on_media=lambda fields: claim.update(error="", **fields),
            on_trouble=lambda message: claim.update(error=f"umbel.worker_lost: {message}"),
            on_end=ended,
        )
        if claim.publication is not None:
            self._later(claim.publication.close())
        claim.publication = Publication(options, callbacks, self._workers)
        return claim.publication

    def revoke(self) -> None:
        """Disconnect the publisher."""
        claim = self.claim
        if claim is not None:
            self.vacate(claim)
            claim.on_revoked()

    async def close(self) -> None:
        """Disconnect the publisher, close the ports, end everything."""
        self.revoke()
        for publication in list(self._leaving):
            await publication.close()
        await asyncio.gather(*(port.close() for port in self.ports.values()), *self._tasks)

    async def _drain(self, publication: Publication) -> None:
        await publication.drained()
        self._leaving.discard(publication)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class IngestGate:
    """What a port of one stream may do with it."""

    def __init__(self, stream: AdmittedStream, protocol: str) -> None:
        self._stream = stream
        self.protocol = protocol

    @property
    def name(self) -> str:
        """The stream's name."""
        return self._stream.name

    @property
    def sources(self) -> tuple[Network, ...]:
        """From where publishers without a key are taken; none: from anywhere."""
        return self._stream.sources

    def closed(self) -> UmbelError | None:
        """Why no publisher is accepted now; None when the next one is."""
        if self._stream.claim is not None:
            return AlreadyPublishing(stream=self.name, protocol=self._stream.claim.protocol)
        if self.protocol == "rtp" and not self._stream.formats:
            return NotPublishing("RTP came before its description", stream=self.name)
        return None

    def refuse(self, error: UmbelError) -> None:
        """Tell that somebody was turned away."""
        self._stream.refuse(error, self.protocol)

    def enter(self, key: str, on_revoked: Callable[[], None]) -> tuple[Claim, Publication]:
        """Become the publisher. Raises AlreadyPublishing; WrongStreamKey where SRT shows one."""
        if self.protocol == "srt" and not keys.known(key, self._stream.key_hashes):
            self._stream.refuse(WrongStreamKey(), self.protocol)
            raise WrongStreamKey
        if self.protocol == "rtp":
            formats = [asdict(item) for item in self._stream.formats]
            options = {"kind": "rtp", "formats": formats}
        else:
            options = {"kind": "ts"}
        claim = self._stream.open_claim(self.protocol, key, on_revoked)
        return claim, self._stream.publish(claim, options)
