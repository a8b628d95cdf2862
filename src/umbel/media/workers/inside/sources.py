"""In a worker: the ways in. Bytes as they came in, frames to the intake out.

FLV is read without GStreamer (1.22 knows no enhanced tags); MPEG-TS, RTP and SRT by it.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from umbel.kit.clock import Clock, SystemClock
from umbel.kit.connections import source_of
from umbel.kit.errors import UmbelError
from umbel.kit.token_buckets import TokenBuckets
from umbel.media.ingest import codecs, flv
from umbel.media.ingest.aligner import Aligner
from umbel.media.ingest.arrivals import srt_arrived
from umbel.media.ingest.av1 import Av1Reader, MalformedAv1
from umbel.media.ingest.codecs import Codec
from umbel.media.ingest.flv import FlvMedia, PayloadKind
from umbel.media.ingest.sdp import RtpFormat
from umbel.media.ingest.timeline import Unwrapped
from umbel.media.rtp import h264
from umbel.media.rtp.arrivals import Arrived
from umbel.media.rtp.packet import HEADER_BYTES, MalformedPacket, RtpPacket, is_rtcp, payload_type
from umbel.media.workers.frames import FrameReader
from umbel.media.workers.inside.encoder import Frame
from umbel.media.workers.inside.gstreamer import Callbacks, GstSample, Pad, Pipeline, host_of, sink
from umbel.media.workers.inside.tracks import Intake

_MS_NS = 1_000_000
_DRAIN_S = 1.0
_TS_SYNC = 0x47
REORDER_MS = 80
"""How long a packet that is missing is waited for."""
_SRT_LATENCY_MS = 60
_SRT_REFUSALS, _SRT_REFUSALS_WITHIN_S = 10, 20.0
"""An encoder with a key that has just been replaced tries about once a second."""
_TS = (
    "appsrc name=in format=bytes caps=video/mpegts,systemstream=true,packetsize=188"
    " ! tsdemux name=demux"
)
_DEPAYLOADER = (
    "appsrc name={name}_in is-live=true do-timestamp=true format=time"
    " ! rtpjitterbuffer mode=none latency={reorder_ms}"
)
_TS_IN_RTP: Mapping[str, str | int] = {
    "media": "video",
    "clock-rate": 90_000,
    "encoding-name": "MP2T",
    "payload": 33,
}
_SRT = (
    "srtsrc name=srt uri={uri} authentication=true keep-listening=true"
    f" latency={_SRT_LATENCY_MS} ! " + sink("out")
)
Fail = Callable[[str], None]
Refuse = Callable[[UmbelError], None]


class MediaReader(Protocol):
    """A way in."""

    def feed(self, data: bytes) -> None:
        """Take what came: a piece of a stream, or a datagram. Raises UmbelError: refused."""

    def finish(self) -> None:
        """The input ended: give out what is inside."""


class FlvSource:
    """Payloads of FLV, as RTMP brings them and the server took them apart."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._frames = FrameReader()
        self._times = Unwrapped()
        self._length_bytes = 4
        self._caps: dict[str, str] = {}

    def feed(self, data: bytes) -> None:
        for kind, timestamp_ms, media in self._frames.feed(data):
            dts_ns = self._times.unwrap(timestamp_ms) * _MS_NS
            codec = codecs.in_flv(media.codec)
            if kind == flv.VIDEO and codec.name == "H.264":
                self._h264(media, dts_ns)
            else:
                self._coded(codec, media, dts_ns + media.offset_ms * _MS_NS, dts_ns)

    def finish(self) -> None:
        """Nothing is held here."""

    def _h264(self, media: FlvMedia, dts_ns: int) -> None:
        if media.part is PayloadKind.CONFIG:
            configuration = h264.DecoderConfiguration.parse(media.data)
            self._length_bytes = configuration.length_bytes
            self._intake.configure_video(configuration.sets)
        else:
            nals = h264.split_lengths(media.data, self._length_bytes)
            self._intake.video_unit(nals, dts_ns + media.offset_ms * _MS_NS, dts_ns)

    def _coded(self, codec: Codec, media: FlvMedia, pts_ns: int, dts_ns: int) -> None:
        if media.part is PayloadKind.CONFIG:
            if codec.name != "Opus":  # its header says nothing that RTP's receivers need
                text = f"{codec.raw_caps},codec_data=(buffer){media.data.hex()}"
                self._caps[codec.name] = text if media.data else codec.raw_caps
            return
        frame = Frame(
            codec=codec,
            caps=self._caps.get(codec.name, codec.raw_caps),
            data=media.data,
            pts_ns=pts_ns,
            dts_ns=dts_ns,
            key=media.key,
        )
        if codec.medium == "video":
            self._intake.video_frame(frame, (0, 0))
        else:
            self._intake.audio_frame(frame)


class Framed:
    """Takes samples of parsers' sinks to the intake; a sink is named after its medium."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._codecs: dict[str, Codec] = {}
        self._caps: dict[str, tuple[str, tuple[int, int]]] = {}
        self.audio_shift_ns = 0

    def expects(self, medium: str) -> bool:
        """Whether this medium has its codec already."""
        return medium in self._codecs

    def branch(self, codec: Codec) -> str:
        """What to put behind a pad or depayloader with this codec."""
        self._codecs[codec.medium] = codec
        framing = f"{codec.framing} ! " if codec.framing else ""
        return f"{codec.parse} ! {framing}{sink(codec.medium)}"

    def on_caps(self, medium: str, text: str, pad: Pad) -> None:
        """The sink's samples will have these caps."""
        self._caps[medium] = (text, pad.size)

    def on_sample(self, sample: GstSample) -> None:
        """A frame; without a time it cannot be placed."""
        if sample.pts_ns is None or sample.dts_ns is None:
            return
        codec = self._codecs[sample.sink]
        if codec.name == "H.264":
            nals = h264.split_start_codes(sample.data)
            self._intake.video_unit(nals, sample.pts_ns, sample.dts_ns)
            return
        caps, size = self._caps[sample.sink]
        shift_ns = self.audio_shift_ns if codec.medium == "audio" else 0
        frame = Frame(
            codec=codec,
            caps=caps,
            data=sample.data,
            pts_ns=sample.pts_ns + shift_ns,
            dts_ns=sample.dts_ns + shift_ns,
            key=sample.key,
        )
        if codec.medium == "video":
            self._intake.video_frame(frame, size)
        else:
            self._intake.audio_frame(frame)


class TsSource:
    """MPEG-TS, plain or in RTP: the first datagram tells."""

    def __init__(self, intake: Intake, fail: Fail, refuse: Refuse) -> None:
        self._framed = Framed(intake)
        self._refuse = refuse
        callbacks = Callbacks(
            on_sample=self._framed.on_sample, on_problem=fail, on_caps=self._framed.on_caps
        )
        self._demux = Pipeline(_TS, callbacks)
        self._demux.on_pad("demux", self._branch)
        self._demux.play()
        self._rtp: Pipeline | None = None
        self._fail = fail

    def feed(self, data: bytes) -> None:
        if data[:1] == bytes((_TS_SYNC,)):
            self._demux.push("in", data)
        elif len(data) > HEADER_BYTES and data[0] >> 6 == 2 and not is_rtcp(data):
            self._rtp = self._rtp or self._unpacker()
            self._rtp.push("ts_in", data)

    def finish(self) -> None:
        if self._rtp is not None:
            self._rtp.finish(_DRAIN_S)
            self._rtp.stop()
        self._demux.finish(_DRAIN_S)
        self._demux.stop()

    def _unpacker(self) -> Pipeline:
        text = (
            f"{_DEPAYLOADER.format(name='ts', reorder_ms=REORDER_MS)} ! rtpmp2tdepay ! {sink('ts')}"
        )
        callbacks = Callbacks(
            on_sample=lambda sample: self._demux.push("in", sample.data), on_problem=self._fail
        )
        pipeline = Pipeline(text, callbacks)
        pipeline.set_rtp_caps("ts_in", _TS_IN_RTP)
        pipeline.play()
        return pipeline

    def _branch(self, pad: Pad) -> str:
        try:
            codec = codecs.on_pad(pad.caps, pad.fields)
        except UmbelError as error:
            self._refuse(error)
            return ""
        if codec is None or self._framed.expects(codec.medium):
            return ""
        branch = self._framed.branch(codec)
        # A PES packet holds one picture (ETSI TS 101 154 requires it): the parser need not wait
        # for the next one to see where this one ends.
        whole = "alignment=au" in codec.framing
        return f"capssetter caps={codec.caps},alignment=au ! {branch}" if whole else branch


class RtpSource:
    """RTP as described by SDP, or as a WHIP publisher sends it."""

    def __init__(
        self,
        intake: Intake,
        formats: Mapping[str, RtpFormat],
        clock: Clock,
        fail: Fail,
        reorder_ms: int = REORDER_MS,
    ) -> None:
        self._clock, self._reorder_ms = clock, reorder_ms
        self._framed = Framed(intake)
        self._intake = intake
        self._media = {item.payload_type: item.medium for item in formats.values()}
        self._aligner = Aligner({medium: item.clock_hz for medium, item in formats.items()})
        self._av1 = Av1Reader()
        callbacks = Callbacks(
            on_sample=self._on_sample, on_problem=fail, on_caps=self._framed.on_caps
        )
        self._pipeline = Pipeline(" ".join(map(self._branch, formats.values())), callbacks)
        for medium, item in formats.items():
            self._pipeline.set_rtp_caps(f"{medium}_in", _fields(item))
        self._pipeline.play()

    def feed(self, data: bytes) -> None:
        if is_rtcp(data):
            self._aligner.report(data)
            self._framed.audio_shift_ns = round(self._aligner.audio_shift_s * 1e9)
            return
        medium = self._media.get(payload_type(data)) if len(data) > HEADER_BYTES else None
        if medium is not None:
            self._aligner.packet(medium, data, self._clock.monotonic_s())
            self._pipeline.push(f"{medium}_in", data)

    def finish(self) -> None:
        self._pipeline.finish(_DRAIN_S)
        self._pipeline.stop()

    def _branch(self, item: RtpFormat) -> str:
        codec = codecs.named(item.codec)
        branch = _DEPAYLOADER.format(name=item.medium, reorder_ms=self._reorder_ms)
        if not codec.depay:
            return f"{branch} ! {sink('av1')}"
        return f"{branch} ! {codec.depay} ! {self._framed.branch(codec)}"

    def _on_sample(self, sample: GstSample) -> None:
        if sample.sink != "av1":
            self._framed.on_sample(sample)
            return
        try:
            unit = self._av1.feed(RtpPacket.parse(sample.data))
        except (MalformedAv1, MalformedPacket):
            return
        if unit is not None and sample.pts_ns is not None:
            codec = codecs.named("AV1")
            frame = Frame(
                codec=codec,
                caps=codec.raw_caps,
                data=unit,
                pts_ns=sample.pts_ns,
                dts_ns=sample.pts_ns,
                key=b"\x0a" in unit[:4],
            )
            self._intake.video_frame(frame, (0, 0))


def _fields(item: RtpFormat) -> dict[str, str | int]:
    fields: dict[str, str | int] = dict(item.parameters)
    fields |= {
        "media": item.medium,
        "clock-rate": item.clock_hz,
        "encoding-name": item.encoding.upper(),
        "payload": item.payload_type,
    }
    if item.medium == "audio":
        fields |= {"encoding-params": str(item.channels), "channels": item.channels}
    return fields


class SrtListener:
    """An SRT port. `ask(key)` decides over each caller while SRT's handshake waits. An address
    whose callers were refused often has to wait: it is refused then without being asked for."""

    def __init__(self, uri: str, ask: Callable[[str], bool], callbacks: "SrtCallbacks") -> None:
        self._ask = ask
        self._refusals = TokenBuckets(_SRT_REFUSALS, _SRT_REFUSALS_WITHIN_S)
        self._clock = SystemClock()
        self._pipeline = Pipeline(
            _SRT.format(uri=uri),
            Callbacks(on_sample=callbacks.on_sample, on_problem=callbacks.on_problem),
        )
        srt = self._pipeline.get("srt")
        srt.connect("caller-connecting", self._admit)
        srt.connect("caller-removed", lambda *_: callbacks.on_gone())
        self._pipeline.play()

    def _admit(self, _srt: object, address: object, stream_id: str | None) -> bool:
        source = source_of(host_of(address))
        now_s = self._clock.monotonic_s()
        if self._refusals.wait_s(source, now_s) > 0:
            return False
        if self._ask(stream_id or ""):
            return True
        self._refusals.take(source, now_s)
        return False

    def arrived(self) -> Arrived:
        """How many packets of the caller SRT expected, and how many of them were lost at first; it
        asks for these again."""
        # As text: PyGObject 3.50 frees the callers' structures before they can be read.
        return srt_arrived(self._pipeline.get("srt").get_property("stats").to_string())

    def kick(self) -> None:
        """Disconnect the caller and listen again."""
        self._pipeline.pause_all()
        self._pipeline.play()


class SrtCallbacks(Protocol):
    """What an SRT port tells."""

    def on_sample(self, sample: GstSample) -> None:
        """Bytes of the caller's transport stream."""

    def on_problem(self, message: str) -> None:
        """The port is broken."""

    def on_gone(self) -> None:
        """The caller left."""
