"""In a worker: one publication's video and audio, made into the platform's RTP.

In: frames from sources.py, on any thread. Out: packets to the media server, and what the
media are. H.264 that may pass is only cut into packets; the rest goes through a pipeline.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError
from umbel.media.ingest import codecs, rates
from umbel.media.ingest.codecs import Codec
from umbel.media.ingest.packer import AudioPacker, VideoPacker
from umbel.media.ingest.passthrough import Decision, Handling, PassThrough, TimedAccessUnit, Verdict
from umbel.media.ingest.timeline import EncoderTimeline
from umbel.media.model import VideoCodec, WorkerLimits
from umbel.media.rtp import h264
from umbel.media.rtp.bits import MalformedVideo
from umbel.media.rtp.errors import PictureTooLarge
from umbel.media.workers.inside.encoder import DRAIN_S, MOST_WAITING, Frame, VideoEncoder
from umbel.media.workers.inside.gstreamer import Callbacks, GstSample, Pad, Pipeline, sink

_AUDIO = (
    "appsrc name=in format=time ! {decode} ! audioconvert ! audioresample"
    " ! audio/x-raw,rate=48000,channels=2"
    " ! opusenc bitrate=128000 frame-size=20 ! " + sink("out")
)
Send = Callable[[Sequence[bytes]], None]
Fail = Callable[[str], None]


@dataclass(kw_only=True)
class MediaState:
    """What the media server shows of the publication (fields of IngestState)."""

    video: str = ""
    audio: str = ""
    width: int = 0
    height: int = 0
    transcoding: str = ""


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """How many pixels a picture may have, and what hears of one that has more."""

    most_pixels: int = WorkerLimits.most_pixels
    refuse: Callable[[UmbelError], None] = lambda _: None

    def check(self, size: tuple[int, int]) -> None:
        """Refuse the input when its pictures are too large."""
        width, height = size
        if width * height > self.most_pixels:
            message = f"{width}x{height} has more than {self.most_pixels} pixels"
            self.refuse(PictureTooLarge(message))


class VideoTrack:
    """Passes or transcodes video; with a `height` never passes, and never gives higher pictures.
    It gives them in `codec`, which is H.264 where some may pass."""

    def __init__(
        self,
        packer: VideoPacker,
        send: Send,
        fail: Fail,
        *,
        height: int = 0,
        codec: VideoCodec = VideoCodec.H264,
        size_limit: SizeLimit = SizeLimit(),
    ) -> None:
        self._limit = size_limit
        self._packer = packer
        self._send = send
        self._fail = fail
        self._height = height
        self._target = codec
        self._passthrough = PassThrough(_scaled(height)) if height else PassThrough()
        self._encoder: VideoEncoder | None = None
        self._passed = False
        self.codec = ""
        self.reason = ""
        self._size = (0, 0)

    @property
    def size(self) -> tuple[int, int]:
        """The source's width and height in pixels; 0 while they are not known."""
        return self._size

    @size.setter
    def size(self, size: tuple[int, int]) -> None:
        if size != self._size:
            self._limit.check(size)
        self._size = size

    def configure(self, sets: Sequence[bytes]) -> None:
        """H.264 parameter sets that came apart from pictures. Raises MalformedVideo."""
        self.codec = "H.264"
        self._passthrough.configure(sets)

    def unit(self, unit: TimedAccessUnit) -> None:
        """The next H.264 picture. Raises MalformedVideo."""
        self.codec = "H.264"
        self._carry(self._passthrough.feed(unit))

    def frame(self, frame: Frame, size: tuple[int, int]) -> None:
        """The next frame of another codec."""
        if self._encoder is None or self.codec != frame.codec.name:
            self._close()
            self.codec, self.size = frame.codec.name, size
            self.reason = f"{frame.codec.name} to H.264"
            self._encoder = self._encode(frame.codec, frame.caps)
        self._encoder.push(frame)

    def request_key(self) -> None:
        """Encode a key picture next; nothing where pictures pass as they are."""
        if self._encoder is not None:
            self._encoder.request_key()

    def finish(self) -> None:
        """The input ended: give out what is still inside."""
        self._carry(self._passthrough.finish())
        if self._encoder is not None:
            self._encoder.finish()

    def _carry(self, decision: Decision) -> None:
        if self._passthrough.sps is not None:
            self.size = (self._passthrough.sps.width, self._passthrough.sps.height)
        for unit in decision.units:
            key = h264.is_key(unit.nals)
            # A decoder can only take over at a key picture.
            if decision.verdict.handling is Handling.TRANSCODE and (key or not self._passed):
                self.reason = decision.verdict.reason
                self._keep_fitting()
                self._encoder = self._encoder or self._encode(codecs.named("H.264"))
            if self._encoder is None:
                self._passed = True
                self._send(self._packer.packets(unit.nals, unit.pts_ns))
            else:
                self._encoder.push(_frame(unit, key=key))

    def _encode(self, codec: Codec, caps: str = "") -> "VideoEncoder":
        callbacks = Callbacks(on_sample=self._emit, on_problem=self._fail, on_caps=self._on_caps)
        caps = caps or codec.raw_caps
        return VideoEncoder(codec, caps, self._target, self._sizes(), callbacks)

    def _keep_fitting(self) -> None:
        """The source's size may change: an encoder made for the old one goes."""
        if self._height and self._encoder is not None and self._encoder.sizes != self._sizes():
            self._close()

    def _sizes(self) -> tuple[rates.Size, rates.Size]:
        return self.size, rates.fitted(self.size, self._height)

    def _on_caps(self, _sink: str, _text: str, pad: Pad) -> None:
        if self.codec != "H.264":  # whose parameter sets tell the source's size
            self.size = pad.size

    def _emit(self, sample: GstSample) -> None:
        if sample.pts_ns is not None:
            is_h264 = self._target is VideoCodec.H264
            units = h264.split_start_codes(sample.data) if is_h264 else [sample.data]
            self._send(self._packer.packets(units, sample.pts_ns))

    def _close(self) -> None:
        if self._encoder is not None:
            self._encoder.finish()
            self._encoder = None


def _scaled(height: int) -> Verdict:
    return Verdict(handling=Handling.TRANSCODE, reason=f"at most {height} lines")


def _frame(unit: TimedAccessUnit, *, key: bool) -> Frame:
    return Frame(
        codec=codecs.named("H.264"),
        caps="",
        data=h264.join_start_codes(unit.nals),
        pts_ns=unit.pts_ns,
        dts_ns=unit.dts_ns,
        key=key,
    )


class AudioTrack:
    """Passes Opus, converts everything else."""

    def __init__(self, packer: AudioPacker, send: Send, fail: Fail) -> None:
        self._packer = packer
        self._send = send
        self._fail = fail
        self._pipeline: Pipeline | None = None
        self._caps = ""
        self.codec = ""
        self.reason = ""

    def frame(self, frame: Frame) -> None:
        """The next frame."""
        self.codec = frame.codec.name
        if self.codec == "Opus":
            self._send(self._packer.packets(frame.data, frame.pts_ns))
            return
        if self._pipeline is None or frame.caps != self._caps:
            self.finish()
            self._caps, self.reason = frame.caps, f"{self.codec} to Opus"
            self._pipeline = self._convert(frame.codec)
        if self._pipeline.waiting("in") < MOST_WAITING:
            self._pipeline.push("in", frame.data, frame.pts_ns, frame.pts_ns)

    def finish(self) -> None:
        """The input ended: give out what is still inside."""
        if self._pipeline is not None:
            self._pipeline.finish(DRAIN_S)
            self._pipeline.stop()
            self._pipeline = None

    def _convert(self, codec: Codec) -> Pipeline:
        callbacks = Callbacks(on_sample=self._emit, on_problem=self._fail)
        pipeline = Pipeline(_AUDIO.format(decode=codec.decode), callbacks)
        pipeline.set_caps("in", self._caps)
        pipeline.play()
        return pipeline

    def _emit(self, sample: GstSample) -> None:
        if sample.pts_ns is not None:
            self._send(self._packer.packets(sample.data, sample.pts_ns))


class Intake:
    """Where a source puts frames: one time line for both media, one view of what they are."""

    def __init__(
        self,
        video: VideoTrack,
        audio: AudioTrack,
        clock: Clock,
        show: Callable[[dict[str, object]], None],
    ) -> None:
        self._video = video
        self._audio = audio
        self._clock = clock
        self._show = show
        self._timeline = EncoderTimeline()
        self._shown = MediaState()
        self._lock = threading.Lock()

    def configure_video(self, sets: Sequence[bytes]) -> None:
        """H.264 parameter sets. Raises MalformedVideo."""
        with self._lock:
            self._video.configure(sets)

    def video_unit(self, nals: Sequence[bytes], pts_ns: int, dts_ns: int) -> None:
        """An H.264 picture. One that cannot be read is dropped."""
        with self._lock:
            shift_ns = self._timeline.shift_ns("video", dts_ns, self._clock.monotonic_s())
            unit = TimedAccessUnit(
                nals=tuple(nals), pts_ns=pts_ns + shift_ns, dts_ns=dts_ns + shift_ns
            )
            try:
                self._video.unit(unit)
            except MalformedVideo:
                return
            self._tell()

    def video_frame(self, frame: Frame, size: tuple[int, int]) -> None:
        """A frame of another codec; `size` (0, 0) when not known."""
        with self._lock:
            self._video.frame(self._placed("video", frame), size)
            self._tell()

    def audio_frame(self, frame: Frame) -> None:
        """An audio frame."""
        with self._lock:
            self._audio.frame(self._placed("audio", frame))
            self._tell()

    def request_key(self) -> None:
        """A receiver needs a key picture."""
        with self._lock:
            self._video.request_key()

    def finish(self) -> None:
        """The input ended."""
        with self._lock:
            self._video.finish()
            self._audio.finish()

    def _placed(self, medium: str, frame: Frame) -> Frame:
        shift_ns = self._timeline.shift_ns(medium, frame.dts_ns, self._clock.monotonic_s())
        return replace(frame, pts_ns=frame.pts_ns + shift_ns, dts_ns=frame.dts_ns + shift_ns)

    def _tell(self) -> None:
        reasons = {"video": self._video.reason, "audio": self._audio.reason}
        width, height = self._video.size
        state = MediaState(
            video=self._video.codec,
            audio=self._audio.codec,
            width=width,
            height=height,
            transcoding="; ".join(f"{name}: {why}" for name, why in reasons.items() if why),
        )
        if state != self._shown:
            self._shown = state
            self._show(asdict(state))
