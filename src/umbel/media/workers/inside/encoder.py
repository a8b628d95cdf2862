"""In a worker: pictures decoded, scaled and encoded again.

In: coded frames of any codec that can be read. Out: samples of H.264 (byte stream) or VP8, on
GStreamer's threads. Neighbour: tracks.py, which decides what is encoded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from umbel.media.ingest import rates
from umbel.media.ingest.codecs import Codec
from umbel.media.model import VideoCodec
from umbel.media.workers.inside.gstreamer import Callbacks, GstSample, Pipeline, sink

MOST_WAITING = 90
DRAIN_S = 1.0
_LONGEST_GROUP_NS = 1_800_000_000
_DECODED = (
    "appsrc name=in format=time ! {decode} ! videoconvert ! deinterlace fields=top"
    " ! video/x-raw,format=I420{scale}"
    " ! queue leaky=downstream max-size-buffers=12 max-size-time=0 max-size-bytes=0"
)
_SCALE = " ! videoscale add-borders=false ! video/x-raw,width={},height={}"


@dataclass(frozen=True, kw_only=True)
class _Encoding:
    """A codec's part of the pipeline, the encoder's property for its rate, and how many bit/s the
    property counts in."""

    text: str
    rate: str
    rate_unit: int


_ENCODINGS: Mapping[VideoCodec, _Encoding] = {
    VideoCodec.H264: _Encoding(
        text=" ! x264enc name=encoder tune=zerolatency speed-preset={preset} key-int-max=240"
        " bframes=0 ! video/x-h264,profile=constrained-baseline ! h264parse config-interval=-1"
        " ! video/x-h264,stream-format=byte-stream,alignment=au ! ",
        rate="bitrate",
        rate_unit=1000,
    ),
    # In real time cpu-used=12 bounds the encoder to a quarter of a picture's time. More threads
    # than one cost several times the CPU: they wait for each other without sleeping.
    VideoCodec.VP8: _Encoding(
        text=" ! vp8enc name=encoder deadline=1 cpu-used=12 threads=1 end-usage=cbr"
        " buffer-size=1000 buffer-initial-size=500 buffer-optimal-size=600"
        " error-resilient=default keyframe-max-dist=240 ! ",
        rate="target-bitrate",
        rate_unit=1,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A coded frame as a source gives it; `caps` is what GStreamer calls it."""

    codec: Codec
    caps: str
    data: bytes
    pts_ns: int
    dts_ns: int
    key: bool = True


class VideoEncoder:
    """A pipeline that decodes and encodes again. Falls behind by dropping, never by waiting.

    `sizes`: the source's and the target's, equal where pictures keep their size.
    """

    def __init__(
        self,
        codec: Codec,
        caps: str,
        target: VideoCodec,
        sizes: tuple[rates.Size, rates.Size],
        callbacks: Callbacks,
    ) -> None:
        self.sizes = source, size = sizes
        self._emit = callbacks.on_sample
        self._meter = rates.BitrateMeter(codec.name, rates.part(source, size))
        self._lost = False
        self._key_ns = 0
        self._encoding = _ENCODINGS[target]
        text = (_DECODED + self._encoding.text).format(
            decode=codec.decode,
            scale="" if source == size else _SCALE.format(*size),
            preset=rates.preset(*size),
        )
        made = replace(callbacks, on_sample=self._on_sample)
        self._pipeline = Pipeline(text + sink("out"), made)
        self._set_rate(self._meter.kbps)
        self._pipeline.set_caps("in", caps)
        self._pipeline.play()

    def push(self, frame: Frame) -> None:
        """Take the next frame in decoding order."""
        if self._pipeline.waiting("in") > MOST_WAITING:
            self._lost = True
        if self._lost and not (frame.key and self._pipeline.waiting("in") < MOST_WAITING // 4):
            return
        self._lost = False
        kbps = self._meter.count(len(frame.data), frame.dts_ns)
        if kbps is not None:
            self._set_rate(kbps)
        self._pipeline.push("in", frame.data, frame.pts_ns, frame.dts_ns)

    def request_key(self) -> None:
        """Make the next picture a key picture."""
        self._pipeline.force_key("out")

    def finish(self) -> None:
        """Give out what is inside, and end."""
        self._pipeline.finish(DRAIN_S)
        self._pipeline.stop()

    def _set_rate(self, kbps: int) -> None:
        value = kbps * 1000 // self._encoding.rate_unit
        self._pipeline.get("encoder").set_property(self._encoding.rate, value)

    def _on_sample(self, sample: GstSample) -> None:
        # By time, not by count: the input's frame rate may be unknown or change.
        pts_ns = sample.pts_ns or 0
        if not sample.key and pts_ns - self._key_ns > _LONGEST_GROUP_NS:
            self._pipeline.force_key("out")
            self._key_ns = pts_ns
        elif sample.key:
            self._key_ns = pts_ns
        self._emit(sample)
