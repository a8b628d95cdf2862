"""Where a provider's stream comes in, as an element: IngestEndpoint over io/ingest_desk.py.

In: stream keys' digests; encoders at the desk's ports, and WHIP offers that public.py hands on.
Out: the platform's packets, the ingest's state, events on the element and on the manager.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from umbel.kit.errors import UmbelError
from umbel.media import roles
from umbel.media.api import values
from umbel.media.ingest import codecs
from umbel.media.ingest.frame_rate import FrameRateMeter
from umbel.media.ingest.key_pictures import KeyPictureMeter
from umbel.media.io.ingest_claims import Claim
from umbel.media.io.ingest_desk import IngestDesk
from umbel.media.model import INGEST_PORTS, IngestState, PayloadType, StreamState
from umbel.media.ports import Packets, PacketSink
from umbel.media.rpc.faults import OperationUnsupported
from umbel.media.rtp import h264
from umbel.media.rtp.arrivals import Arrived
from umbel.media.rtp.errors import PictureTooLarge
from umbel.media.rtp.feedback import Aggregate, Feedback, PictureRequest
from umbel.media.rtp.packet import RtpPacket, payload_type
from umbel.media.rtp.sps import parse_sps
from umbel.media.server.elements.base import ElementContext, Json, MediaElement
from umbel.media.server.elements.captions import LiveCaptions
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.elements.fan import Fan, Guard
from umbel.media.server.elements.flow import Count
from umbel.media.server.elements.peers import Peers
from umbel.media.server.elements.pipeline import stream_of
from umbel.media.server.elements.thumbnail import LiveThumbnail
from umbel.media.webrtc.reports import Answer, PublishPhase, PublishState

# What WebRTC publishers may send that the tree carries as it is; no video at all is fine too.
_PASSED = frozenset({"H264", ""})
_MOST_HELD = 256


class IngestEndpoint(MediaElement):
    """Takes one stream from one publisher at a time."""

    type = "IngestEndpoint"

    def __init__(
        self,
        context: ElementContext,
        server: ServerContext,
        key_hashes: Iterable[str] = (),
        rtp_offer: str = "",
        ports: Iterable[int] = (),
        sources: Iterable[str] = (),
    ) -> None:
        super().__init__(context)
        if server.desk is None:
            raise OperationUnsupported("this server is no acquirer")
        self._server = server
        self._desk: IngestDesk = server.desk
        self._stream = stream_of(context.parent)
        self._key_hashes = tuple(key_hashes)
        self._rtp_offer = rtp_offer
        self._allowed = list(sources)
        self._ports = dict(zip(INGEST_PORTS, ports, strict=False))
        self._rtp_answer = ""
        self._addresses: dict[str, str] = {}
        self._fan = Fan(self._on_feedback)
        self._key_pictures = KeyPictureMeter()
        self._frame_rate = FrameRateMeter()
        self._aggregate = Aggregate()
        self._pictures_requested = 0
        self._into = Guard(self._fan, self.id)
        self._fan.attach(self._key_pictures)
        self._fan.attach(self._frame_rate)
        self._thumbnail = LiveThumbnail(self._fan, server.thumbnailer)
        self._captions = LiveCaptions(self._stream, self._fan, server.speech, server.workers)
        self.source = self._fan
        self.peers = Peers(server.peer_counts)

    async def open(self) -> None:
        self._server.ingest_listeners[self._stream] = self._on_event
        await self.set_key_hashes(list(self._key_hashes))
        self.set_sources(self._allowed)
        await self.set_rtp_offer(self._rtp_offer)

    async def close(self) -> None:
        await self._thumbnail.close()
        await self._captions.close()
        await self._desk.dismiss(self._stream)
        self._server.ingest_listeners.pop(self._stream, None)

    @property
    def urls(self) -> tuple[tuple[str, str], ...]:
        """Where encoders push, by protocol."""
        return (*self._addresses.items(), ("whip", self._server.url(f"/whip/{self._stream}")))

    @property
    def state(self) -> IngestState:
        """What comes in now."""
        if not self._addresses:
            return IngestState()
        state = self._desk.state(self._stream)
        if not state.protocol:
            return state
        return replace(
            state,
            key_interval_s=round(self._key_pictures.interval_s, 3),
            fps=round(self._frame_rate.fps, 2),
            packet_loss=round(state.packet_loss, 4),
            frame_loss=round(self._frame_rate.missing, 4),
        )

    def described(self, state: StreamState, now_s: float) -> StreamState:
        known = replace(
            super().described(state, now_s),
            urls=state.urls + self.urls,
            ingest=self.state,
            sources=state.sources + tuple(self._allowed),
            rtp_answer=self._rtp_answer,
            pictures_requested=state.pictures_requested + self._pictures_requested,
        )
        return self.entered(known, now_s)

    def get_urls(self) -> list[Json]:
        return values.urls_to_json(self.urls)

    def get_state(self) -> Json:
        return values.ingest_to_json(self.state)

    def get_key_hashes(self) -> list[str]:
        return list(self._key_hashes)

    async def set_key_hashes(self, key_hashes: list[str]) -> None:
        self._key_hashes = tuple(key_hashes)
        self._addresses = await self._desk.admit(
            self._stream, self._key_hashes, self._into, ports=self._ports
        )

    def get_sources(self) -> list[str]:
        return self._allowed

    def set_sources(self, sources: list[str]) -> None:
        self._desk.restrict(self._stream, sources)
        self._allowed = sources

    def get_rtp_offer(self) -> str:
        return self._rtp_offer

    async def set_rtp_offer(self, rtp_offer: str) -> None:
        if rtp_offer:
            self._rtp_answer = await self._desk.describe_rtp(self._stream, rtp_offer)
        self._rtp_offer = rtp_offer

    def get_rtp_answer(self) -> str:
        return self._rtp_answer

    def is_media_transcoding(self, media_type: str, bin_name: str | None = None) -> bool:
        return media_type.lower() in self.state.transcoding.lower()

    def count_in(self) -> Count:
        return Count(packets=self._fan.packets_seen, bytes=self._fan.bytes_seen)

    def tick(self, now_s: float) -> None:
        super().tick(now_s)
        self._thumbnail.tick(now_s)
        self._captions.tick(now_s)

    def get_thumbnail(self) -> Json | None:
        found = self._thumbnail.read(self.clock.monotonic_s())
        return None if found is None else values.thumbnail_to_json(found)

    def get_cues(self, language: str, boot: str, after: int) -> Json | None:
        if not self.state.protocol:
            return None
        now_s = self.clock.monotonic_s()
        return values.cues_to_json(self._captions.read(language, boot, after, now_s))

    def check_key(self, key: str) -> None:
        """Raises WrongStreamKey."""
        self._desk.check_key(self._stream, key)

    def publish(self, offer: str, key: str) -> Answer:
        """Answer a WHIP publisher's offer. Raises Conflict when somebody publishes already."""
        publication = _WhipPublication(self._server, self._desk, self._stream, self._into)
        claim = self._desk.claim(
            self._stream,
            "whip",
            key=key,
            on_revoked=publication.revoke,
            on_picture=publication.request_picture,
        )
        claim.arrived = publication.arrived
        try:
            answer = publication.begin(offer, claim, self.peers)
        except BaseException:
            claim.release()
            raise
        self.peers.add(answer.resource, self._stream)
        return answer

    def unpublish(self, resource: str) -> None:
        """The WHIP publisher leaves."""
        self._server.webrtc.delete(resource)

    def request_keyframe(self) -> None:
        self._on_feedback(PictureRequest(), self.clock.monotonic_s())

    def _on_feedback(self, feedback: Feedback, now_s: float) -> None:
        if isinstance(self._aggregate.throttled(feedback, now_s), PictureRequest):
            self._pictures_requested += 1
            self._desk.request_picture(self._stream, now_s)

    def _on_event(self, what: str) -> None:
        if what == "started":
            self._key_pictures.reset()
            self._frame_rate.reset()
            self._thumbnail.reset()
        data: Json = {"stream": self._stream, "state": self.get_state()}
        self.emit("IngestStateChanged", data)
        self._emit(roles.MANAGER, "IngestStateChanged", data)


class _WhipPublication:
    """One WHIP publisher, from its offer to its end. A PacketSink for what it sends.

    Packets wait until it is known whether they may pass or must go through a transcoder.
    """

    def __init__(
        self, server: ServerContext, desk: IngestDesk, stream: str, into: PacketSink
    ) -> None:
        self._server = server
        self._desk = desk
        self._stream = stream
        self._into = into
        self._target: PacketSink | None = None
        self._held: deque[tuple[list[bytes], float]] = deque(maxlen=_MOST_HELD)
        self._claim: Claim | None = None
        self._peers: Peers | None = None
        self._resource = ""
        self._opening: asyncio.Task[None] | None = None

    def begin(self, offer: str, claim: Claim, peers: Peers) -> Answer:
        self._claim, self._peers = claim, peers
        answer = self._server.webrtc.publish(offer, self, on_state=self._on_state)
        self._resource = answer.resource
        return answer

    def revoke(self) -> None:
        """The desk wants it gone."""
        if self._peers is not None and self._resource in self._peers.resources():
            self._server.webrtc.delete(self._resource)

    def request_picture(self) -> None:
        """A receiver needs a key picture."""
        self._server.webrtc.request_picture(self._resource)

    def arrived(self) -> Arrived:
        """How many of its packets came."""
        return self._server.webrtc.arrived(self._resource)

    def packets(self, batch: Packets, now_s: float) -> None:
        if self._target is not None:
            self._target.packets(batch, now_s)
        else:
            self._held.append((list(batch), now_s))

    def _on_state(self, state: PublishState) -> None:
        if self._claim is None or self._peers is None:
            return
        if state.phase is PublishPhase.ENDED:
            self._peers.remove(self._resource)
            self._claim.release()
        elif self._opening is None and self._target is None:
            self._admit(state, self._claim)

    def _admit(self, state: PublishState, claim: Claim) -> None:
        if state.video in _PASSED:
            claim.update(video=_named(state.video, "video"), audio=_named(state.audio, "audio"))
            self._let_through(_Measured(self._into, claim, self._server.workers.limits.most_pixels))
        else:
            self._opening = asyncio.create_task(self._transcode(state.video))

    async def _transcode(self, codec: str) -> None:
        try:
            self._let_through(await self._desk.transcode(self._stream, codec, self._into))
        except UmbelError as error:
            if self._claim is not None:
                self._claim.fail(error)

    def _let_through(self, target: PacketSink) -> None:
        self._target = target
        while self._held:
            batch, at_s = self._held.popleft()
            target.packets(batch, at_s)


class _Measured:
    """Passes a publisher's packets on, and measures the pictures: too large ones end the claim."""

    def __init__(self, into: PacketSink, claim: Claim, most_pixels: int) -> None:
        self._most_pixels = most_pixels
        self._into = into
        self._claim: Claim | None = claim

    def packets(self, batch: Packets, now_s: float) -> None:
        self._into.packets(batch, now_s)
        if self._claim is not None:
            for packet in batch:
                self._measure(packet, self._claim)

    def _measure(self, packet: bytes, claim: Claim) -> None:
        if payload_type(packet) != PayloadType.H264:
            return
        try:
            sps = h264.sps_in(RtpPacket.parse(packet).payload)
            found = parse_sps(sps) if sps is not None else None
        except UmbelError:
            found = None
        if found is not None:
            claim.update(width=found.width, height=found.height)
            self._claim = None
            if found.width * found.height > self._most_pixels:
                claim.fail(PictureTooLarge())


def _named(encoding: str, medium: str) -> str:
    codec = codecs.in_sdp(encoding, medium)
    return codec.name if codec is not None else ""
