"""The desk where encoders arrive: one per media server, all protocols, one publisher a stream.

In: admitted streams with their key digests, encoders on RTMP, SRT, MPEG-TS and RTP; WHIP by its own
transport through `claim`. Out: each stream's RTP into its sink, its IngestState, events.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

import structlog

from umbel.kit.errors import NotFound, UmbelError
from umbel.media.ingest import keys, sdp, sources
from umbel.media.ingest.keys import WrongStreamKey
from umbel.media.ingest.sdp import RtpFormat
from umbel.media.io.ingest_claims import AdmittedStream, Claim, IngestGate, NotPublishing, OnEvent
from umbel.media.io.ingest_ports import SrtPort, UdpPort
from umbel.media.io.rtmp_server import RtmpServer
from umbel.media.model import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, IngestState, PayloadType
from umbel.media.ports import Packets, PacketSink
from umbel.media.rtp.errors import UnsupportedCodec
from umbel.media.workers.pool import WorkerPool
from umbel.media.workers.publication import Publication

log = structlog.get_logger(__name__)

_HOUSEKEEPING_S = 0.5
_WHIP_TYPES = {"VP8": PayloadType.VP8, "VP9": PayloadType.VP9, "AV1": PayloadType.AV1}


class NotAdmitted(NotFound):
    """The stream is not expected at this acquirer."""

    code = "umbel.stream_not_admitted"


class IngestDesk:
    """Takes encoders in. Make it with `open`."""

    def __init__(self, address: str, workers: WorkerPool, on_event: OnEvent) -> None:
        self.address = address
        self._workers = workers
        self._clock = workers.clock
        self._on_event = on_event
        self._streams: dict[str, AdmittedStream] = {}
        self._rtmp = RtmpServer(self._publish_rtmp)
        self._opening = asyncio.Lock()
        self._housekeeper = asyncio.create_task(self._keep_house(), name="ingest housekeeping")

    @classmethod
    async def open(
        cls, address: str, rtmp_port: int, *, workers: WorkerPool, on_event: OnEvent
    ) -> "IngestDesk":
        """Listen for RTMP (port 0: the kernel chooses). `on_event(stream, what)` hears `started`,
        `stopped`, `refused`, `changed`, on the event loop. Raises OSError."""
        desk = cls(address, workers, on_event)
        try:
            await desk._rtmp.open(address, rtmp_port)
        except OSError:
            await desk.close()
            raise
        workers.prepare()
        return desk

    @property
    def rtmp_port(self) -> int:
        """Where RTMP is taken, for all streams."""
        return self._rtmp.port

    async def admit(
        self,
        stream: str,
        key_hashes: Sequence[str],
        sink: PacketSink,
        *,
        ports: Mapping[str, int] | None = None,
    ) -> dict[str, str]:
        """Expect a stream; answers where to send it, by protocol. Again: new key digests and sink
        (a publisher whose key is gone is disconnected), same ports. `ports` by `srt`, `rtp` and
        `mpegts` are tried first. Raises Unavailable."""
        async with self._opening:
            known = self._streams.get(stream)
            if known is None:
                known = AdmittedStream(stream, sink, self._workers, self._on_event)
                known.key_hashes = tuple(key_hashes)
                try:
                    await self._open_ports(known, ports or {})
                except UmbelError:
                    await known.close()
                    raise
                self._streams[stream] = known
        known.sink = sink
        known.key_hashes = tuple(key_hashes)
        claim = known.claim
        if claim is not None and claim.key_hash and claim.key_hash not in known.key_hashes:
            log.info("stream key revoked", stream=stream)
            known.revoke()
        places = {name: f"{self.address}:{port.number}" for name, port in known.ports.items()}
        places["srt"] = f"srt://{places['srt']}"
        return {"rtmp": f"rtmp://{self.address}:{self.rtmp_port}/live", **places}

    def restrict(self, stream: str, texts: Sequence[str]) -> None:
        """Take RTP and MPEG-TS of the stream from these addresses and prefixes alone; none: from
        the first host that sends. Raises BadSource, NotAdmitted."""
        self._known(stream).sources = sources.parse(texts)

    async def dismiss(self, stream: str) -> None:
        """Take the stream no more. An unknown one is not an error."""
        known = self._streams.pop(stream, None)
        if known is not None:
            await known.close()

    def check_key(self, stream: str, key: str) -> None:
        """Raises WrongStreamKey, also for a stream that is not admitted."""
        known = self._streams.get(stream)
        if known is None or not keys.known(key, known.key_hashes):
            if known is not None:
                known.refuse(WrongStreamKey(), "any")
            raise WrongStreamKey

    def claim(
        self,
        stream: str,
        protocol: str,
        *,
        key: str = "",
        on_revoked: Callable[[], None] = lambda: None,
        on_picture: Callable[[], None] = lambda: None,
    ) -> Claim:
        """Become the stream's publisher. With `key`, a later change of the stream's keys ends the
        claim: `on_revoked` is called then, and when its processing fails or the stream is
        dismissed. `on_picture` is called when a receiver needs a key picture and only the
        publisher can make it. Raises AlreadyPublishing, NotAdmitted."""
        claim = self._known(stream).open_claim(protocol, key, on_revoked)
        claim.on_picture = on_picture
        return claim

    async def describe_rtp(self, stream: str, text: str) -> str:
        """Say by SDP what an RTP publisher will send; answers SDP with where to. Takes effect for
        the next publisher. Raises MalformedSdp, UnsupportedCodec, NotAdmitted."""
        known = self._known(stream)
        known.formats = sdp.parse(text)
        return sdp.answer(known.formats, self.address, known.ports["rtp"].number)

    def request_picture(self, stream: str, now_s: float) -> None:
        """Ask the stream's encoder, a worker or a WHIP publisher, for a key picture."""
        known = self._streams.get(stream)
        if known is not None:
            known.request_picture(now_s)

    def state(self, stream: str) -> IngestState:
        """What is taken in. Raises NotAdmitted."""
        known = self._known(stream)
        if not known.state.protocol:
            return known.state
        return replace(known.state, packet_loss=known.losses.share)

    async def transcode(self, stream: str, codec: str, sink: PacketSink) -> PacketSink:
        """For the claim's holder: the place for its RTP and RTCP, video of payload type 97, 98 or
        99 as `codec` (VP8, VP9, AV1) says, Opus 111. All of the stream comes out at `sink` until
        the claim ends. Raises UnsupportedCodec, NotPublishing, NotAdmitted."""
        known = self._known(stream)
        if known.claim is None:
            raise NotPublishing(stream=stream)
        if codec not in _WHIP_TYPES:
            raise UnsupportedCodec(f"{codec} is not supported", codec=codec)
        formats = (_format("video", codec), _format("audio", "Opus"))
        options = {"kind": "rtp", "formats": [asdict(item) for item in formats]}
        return _Feed(known.publish(known.claim, options, sink))

    async def close(self) -> None:
        """End everything."""
        self._housekeeper.cancel()
        await asyncio.wait({self._housekeeper})
        await self._rtmp.close()
        for stream in list(self._streams):
            await self.dismiss(stream)

    def _known(self, stream: str) -> AdmittedStream:
        try:
            return self._streams[stream]
        except KeyError:
            raise NotAdmitted(stream=stream) from None

    async def _open_ports(self, stream: AdmittedStream, wanted: Mapping[str, int]) -> None:
        for protocol in ("rtp", "mpegts"):
            stream.ports[protocol] = await UdpPort.open(
                self.address, wanted.get(protocol, 0), IngestGate(stream, protocol), self._clock
            )
        stream.ports["srt"] = await SrtPort.open(
            self.address, wanted.get("srt", 0), IngestGate(stream, "srt"), self._workers
        )

    def _publish_rtmp(self, key: str, on_revoked: Callable[[], None]) -> tuple[Claim, Publication]:
        for stream in self._streams.values():
            if keys.known(key, stream.key_hashes):
                claim = stream.open_claim("rtmp", key, on_revoked)
                return claim, stream.publish(claim, {"kind": "flv"})
        meant = self._streams.get(keys.stream_of(key))
        if meant is not None:
            meant.refuse(WrongStreamKey(), "rtmp")
        raise WrongStreamKey

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            now_s = self._clock.monotonic_s()
            for stream in self._streams.values():
                stream.tick(now_s)
                for port in stream.ports.values():
                    port.handle_timer(now_s)


class _Feed:
    """A PacketSink that gives a publication its datagrams."""

    def __init__(self, publication: Publication) -> None:
        self._publication = publication

    def packets(self, batch: Packets, now_s: float) -> None:
        for packet in batch:
            self._publication.feed(packet)


def _format(medium: str, codec: str) -> RtpFormat:
    video = medium == "video"
    return RtpFormat(
        medium=medium,
        payload_type=_WHIP_TYPES[codec] if video else PayloadType.OPUS,
        encoding=codec.upper(),
        clock_hz=VIDEO_CLOCK_HZ if video else AUDIO_CLOCK_HZ,
        channels=1 if video else 2,
        codec=codec,
    )
