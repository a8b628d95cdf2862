"""A rendition made of another stream: a publication whose encoder is the platform itself.

In: a stream's packets as a hop sends them. Out: the platform's RTP with SSRCs and sender reports of
its own. The worker starts with the source, is replaced by Publication when it dies, and by a new
publication when the source restarts. Neighbours: ingest/succession.py, elements/transcoder.py.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict

import structlog

from umbel.media.ingest.sdp import RtpFormat
from umbel.media.ingest.succession import Succession
from umbel.media.model import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, PayloadType, VideoCodec
from umbel.media.ports import OnFeedback, Packets, PacketSink
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.losses import SourceLosses
from umbel.media.workers.pool import WorkerPool
from umbel.media.workers.publication import Publication, PublicationCallbacks

log = structlog.get_logger(__name__)

_REST_S = 5.0
_REORDER_MS = 300
"""So long the worker waits for a packet that is missing: it may be asked for again after 0.1 s."""
_FORMATS = (
    RtpFormat(
        medium="video",
        payload_type=PayloadType.H264,
        encoding="H264",
        clock_hz=VIDEO_CLOCK_HZ,
        channels=1,
        codec="H.264",
    ),
    RtpFormat(
        medium="audio",
        payload_type=PayloadType.OPUS,
        encoding="OPUS",
        clock_hz=AUDIO_CLOCK_HZ,
        channels=2,
        codec="Opus",
    ),
)


class Transcoding:
    """A PacketSink. Pictures come out at `sink`, at most `height` pixels high and in `codec`."""

    def __init__(
        self,
        stream: str,
        height: int,
        sink: PacketSink,
        workers: WorkerPool,
        codec: VideoCodec = VideoCodec.H264,
    ) -> None:
        self._stream = stream
        self._sink = sink
        self._workers = workers
        self._clock = workers.clock
        self._succession = Succession()
        self._publication: Publication | None = None
        self._resume_s = float("inf")
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False
        self.height = height
        self.codec = codec
        workers.prepare()
        # Called when a worker begins: it can do nothing before its first key picture.
        self.on_begin: Callable[[], None] = lambda: None
        # Hears which packets to ask for again. By payload type: what is missing of each source.
        self.on_missed: OnFeedback = lambda *_: None
        self._losses: dict[int, SourceLosses] = {}

    @property
    def worker_pid(self) -> int:
        """The worker's process id; 0 while nothing came yet, and between workers."""
        return self._publication.worker_pid if self._publication else 0

    def packets(self, batch: Packets, now_s: float) -> None:
        for data in batch:
            turn = self._succession.follow(data, now_s)
            if turn.restarted or now_s >= self._resume_s:
                self._begin()
            if self._publication is not None:
                for packet in turn.packets:
                    self._follow(packet, now_s)
                    self._publication.feed(packet)
        for losses in self._losses.values():
            missed = losses.missed(now_s)
            if missed is not None:
                self.on_missed(missed, now_s)

    def request_picture(self, now_s: float) -> None:
        """Let the encoder make a key picture now, at most once a second."""
        if self._publication is not None:
            self._publication.request_picture(now_s)

    def set_height(self, height: int) -> None:
        """Go on with this height. What comes out then has new SSRCs."""
        changed, self.height = height != self.height, height
        if changed and self._publication is not None:
            self._begin()

    async def close(self) -> None:
        """End the worker. Nothing comes out any more."""
        self._closed = True
        self._leave()
        if self._ending:
            await asyncio.wait(self._ending)

    def _follow(self, packet: bytes, now_s: float) -> None:
        if rtp.is_rtcp(packet):
            return
        kind = rtp.payload_type(packet)
        losses = self._losses.get(kind)
        if losses is None or losses.ssrc != rtp.ssrc_of(packet):
            self._losses[kind] = SourceLosses(packet)
        else:
            losses.came(packet, now_s)

    def _begin(self) -> None:
        """A new publication for what comes from now on."""
        self._leave()
        if self._closed:
            return

        def forward(packets: Packets) -> None:
            # A worker that is being ended may still have given something.
            if self._publication is publication:
                self._sink.packets(packets, self._clock.monotonic_s())

        def ended(reason: tuple[str, str] | None) -> None:
            if self._publication is publication:
                log.warning("transcoding rests", stream=self._stream, reason=reason)
                self._publication, self._resume_s = None, self._clock.monotonic_s() + _REST_S

        callbacks = PublicationCallbacks(
            on_packets=forward,
            on_media=lambda _media: None,
            on_trouble=lambda what: log.warning(what, stream=self._stream),
            on_end=ended,
        )
        formats = [asdict(item) for item in _FORMATS]
        made = {"height": self.height, "codec": self.codec.value}
        options = {"kind": "rtp", "formats": formats, "reorder_ms": _REORDER_MS, **made}
        log.info("transcoding starts", stream=self._stream, **made)
        publication = self._publication = Publication(options, callbacks, self._workers)
        self.on_begin()

    def _leave(self) -> None:
        publication, self._publication = self._publication, None
        self._resume_s = float("inf")
        if publication is not None:
            task = asyncio.create_task(publication.close(), name="end of transcoding")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
