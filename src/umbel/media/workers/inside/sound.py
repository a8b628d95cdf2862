"""In a worker: Opus made into AAC for HLS.

In: blocks (frames.py), each an Opus packet behind its place on a timeline (64 bit, ticks of
48 kHz). Out: raw AAC-LC frames of 1024 samples, each behind its place.
"""

import struct
from collections.abc import Callable, Sequence

from umbel.media.model import AAC_BPS, AUDIO_CLOCK_HZ
from umbel.media.workers.frames import BlockReader
from umbel.media.workers.inside.gstreamer import Callbacks, GstSample, Pipeline, sink

_PLACE = struct.Struct("!q")
_NS = 1_000_000_000
_DRAIN_S = 1.0
_MOST_WAITING = 1000
_DELAY = 1024  # samples that a decoder gives before those of the encoder's first frame
_PIPELINE = (
    "appsrc name=in format=time caps=audio/x-opus,channel-mapping-family=0 ! opusdec"
    " ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=2"
    " ! avenc_aac bitrate={bps} ! audio/mpeg,mpegversion=4,stream-format=raw ! " + sink("out")
)


class AacSource:
    """A MediaReader: takes blocks, sends frames."""

    def __init__(
        self, send: Callable[[Sequence[bytes]], None], fail: Callable[[str], None]
    ) -> None:
        self._send = send
        self._blocks = BlockReader()
        # GStreamer's times are never negative: they count from a second before the first packet.
        self._zero: int | None = None
        self._pipeline = Pipeline(
            _PIPELINE.format(bps=AAC_BPS), Callbacks(on_sample=self._emit, on_problem=fail)
        )
        self._pipeline.play()

    def feed(self, data: bytes) -> None:
        """Take a piece of the stream. Falls behind by dropping, never by waiting."""
        for block in self._blocks.feed(data):
            (at,) = _PLACE.unpack_from(block)
            if self._zero is None:
                self._zero = at - AUDIO_CLOCK_HZ
            at_ns = (at - self._zero) * _NS // AUDIO_CLOCK_HZ
            if at_ns >= 0 and self._pipeline.waiting("in") < _MOST_WAITING:
                self._pipeline.push("in", block[_PLACE.size :], at_ns, at_ns)

    def finish(self) -> None:
        """Give out what is inside."""
        self._pipeline.finish(_DRAIN_S)
        self._pipeline.stop()

    def _emit(self, sample: GstSample) -> None:
        if sample.pts_ns is not None:
            at = round(sample.pts_ns * AUDIO_CLOCK_HZ / _NS) + (self._zero or 0) - _DELAY
            self._send([_PLACE.pack(at) + sample.data])
