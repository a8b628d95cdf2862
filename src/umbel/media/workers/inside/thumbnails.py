"""In a worker: key pictures made into small JPEGs.

In: blocks (frames.py), each an H.264 byte stream of one key picture. Out: a JPEG that fits into one
packet to the media server. Each picture has a pipeline of its own: nothing of one that was damaged
reaches the next.
"""

from collections.abc import Callable, Sequence

from umbel.kit.errors import UmbelError
from umbel.media.ingest import codecs, rates
from umbel.media.rtp import h264
from umbel.media.rtp.bits import MalformedVideo
from umbel.media.rtp.errors import PictureTooLarge
from umbel.media.rtp.sps import parse_sps
from umbel.media.workers.frames import BlockReader
from umbel.media.workers.inside.gstreamer import Callbacks, Pipeline, PipelineFailed, sink

WIDTH, HEIGHT = 640, 360
"""A thumbnail is at most so large, in pixels."""

_QUALITIES = (75, 45, 20)
_MOST_BYTES = 60_000
_DEADLINE_S = 5.0
_H264 = codecs.named("H.264")
_PIPELINE = (
    f"appsrc name=in format=time caps={_H264.raw_caps} ! {_H264.parse} ! {_H264.decode}"
    " ! videoconvert ! videoscale add-borders=false"
    " ! video/x-raw,format=I420,width={width},height={height},pixel-aspect-ratio=1/1"
    " ! jpegenc quality={quality} ! " + sink("out")
)


class ThumbnailSource:
    """A MediaReader. Each block has one answer: `send` with a JPEG, or `refuse` with the reason."""

    def __init__(
        self,
        send: Callable[[Sequence[bytes]], None],
        refuse: Callable[[str], None],
        most_pixels: int,
    ) -> None:
        self._send = send
        self._refuse = refuse
        self._most_pixels = most_pixels
        self._blocks = BlockReader()

    def feed(self, data: bytes) -> None:
        """Take a piece of the stream."""
        for block in self._blocks.feed(data):
            try:
                self._send([self._jpeg(block)])
            except UmbelError as error:
                self._refuse(error.message)

    def finish(self) -> None:
        """Nothing is held here."""

    def _jpeg(self, picture: bytes) -> bytes:
        size = self._size(picture)
        for quality in _QUALITIES:
            jpeg = _encoded(picture, size, quality)
            if len(jpeg) <= _MOST_BYTES:
                return jpeg
        raise PipelineFailed(f"{len(jpeg)} bytes are too many for a thumbnail")

    def _size(self, picture: bytes) -> rates.Size:
        """The thumbnail's size, of the picture's shape."""
        units = h264.split_start_codes(picture)
        sps = next((unit for unit in units if h264.nal_type(unit) == h264.SPS), None)
        if sps is None:
            raise MalformedVideo("a key picture without parameter sets")
        found = parse_sps(sps)
        if found.width * found.height > self._most_pixels:
            raise PictureTooLarge
        most_height = min(HEIGHT, WIDTH * found.height // found.width)
        return rates.fitted((found.width, found.height), most_height)


def _encoded(picture: bytes, size: rates.Size, quality: int) -> bytes:
    samples: list[bytes] = []
    problems: list[str] = []
    pipeline = Pipeline(
        _PIPELINE.format(width=size[0], height=size[1], quality=quality),
        Callbacks(on_sample=lambda one: samples.append(one.data), on_problem=problems.append),
    )
    try:
        pipeline.play()
        pipeline.push("in", picture, 0)
        pipeline.finish(_DEADLINE_S)
    finally:
        pipeline.stop()
    if not samples:
        raise PipelineFailed(problems[0] if problems else "the decoder gave no picture")
    return samples[0]
