"""In a worker: what is in a file, and a picture of it.

In: blocks of the file. Out: facts, a JPEG. The picture is decoded, so a file whose video cannot be
decoded is refused.
"""

import time
from typing import Any

from umbel.media.ingest import rates
from umbel.media.ingest.codecs import Codec
from umbel.playout import formats
from umbel.playout.inside.blocks import Blocks
from umbel.playout.inside.files import FilePipeline, Gst
from umbel.playout.model import FileRefused

_WITHIN_S = 30.0
_LOOK_NS = 100_000_000
_AT = 0.1
"""The picture's place in the file, as a share of its length: films begin in black."""
_MOST_JPEG_BYTES = 200_000


class Probe(FilePipeline):
    """One file."""

    def __init__(self, blocks: Blocks, size: int, most_pixels: int) -> None:
        super().__init__(blocks, size, _branch)
        self._most_pixels = most_pixels
        self.facts: dict[str, Any] = {}

    def run(self) -> tuple[dict[str, Any], bytes]:
        """Facts and a JPEG, which is empty where there is no video. Raises FileRefused."""
        try:
            self.pause(_WITHIN_S)
            duration_s = self.duration_s
            if duration_s:
                self.seek(duration_s * _AT, _WITHIN_S)
            jpeg = self._picture() if "video" in self.codecs else b""
        finally:
            self.stop()
        if not self.codecs:
            raise FileRefused(f"The file has neither video nor audio. {formats.WANTED}")
        names = {medium: codec.name for medium, codec in self.codecs.items()}
        known = {"container": self.container, "duration_s": round(duration_s, 3), **names}
        return known | self.facts, jpeg

    def linked(self, codec: Codec, part: "Gst.Bin") -> None:
        if codec.medium == "video":
            pad = part.get_by_name("parsed").get_static_pad("src")
            pad.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self._on_event, part)

    def _on_event(self, _pad: "Gst.Pad", info: "Gst.PadProbeInfo", part: "Gst.Bin") -> Any:
        event = info.get_event()
        if event.type == Gst.EventType.CAPS:
            structure = event.parse_caps().get_structure(0)
            known, width = structure.get_int("width")
            _, height = structure.get_int("height")
            is_rate, above, below = structure.get_fraction("framerate")
            if known:
                self.facts |= {"width": width, "height": height}
                self._fit(width, height, part)
            if is_rate and below:
                self.facts["fps"] = round(above / below, 3)
        return Gst.PadProbeReturn.OK

    def _fit(self, width: int, height: int, part: "Gst.Bin") -> None:
        if width * height > self._most_pixels:
            message = f"The pictures have {width} x {height} pixels, more than can be streamed."
            self._refuse(FileRefused(f"{message} Export smaller ones."))
            return
        most = min(formats.PICTURE_HEIGHT, formats.PICTURE_WIDTH * height // max(width, 1))
        fitted = rates.fitted((width, height), max(most, 16))
        text = f"video/x-raw,width={fitted[0]},height={fitted[1]},pixel-aspect-ratio=1/1"
        part.get_by_name("size").set_property("caps", Gst.Caps.from_string(text))

    def _picture(self) -> bytes:
        sink = self.pipeline.get_by_name("picture")
        now_s = time.monotonic  # noqa: TID251 -- a process of its own, with no clock given
        sample, until_s = None, now_s() + _WITHIN_S
        while sink and sample is None and self.refusal is None and now_s() < until_s:
            # It answers nothing at once while the seek's flush is on its way.
            sample = sink.emit("try-pull-preroll", _LOOK_NS)
            if sample is None:
                time.sleep(_LOOK_NS / 1e9)
        if self.refusal is not None:
            raise self.refusal
        if sample is None:
            raise FileRefused("The video cannot be decoded. Export it with H.264 and AAC.")
        buffer = sample.get_buffer()
        jpeg = bytes(buffer.extract_dup(0, buffer.get_size()))
        return jpeg if len(jpeg) <= _MOST_JPEG_BYTES else b""


def _branch(codec: Codec) -> str:
    if codec.medium == "audio":
        return f"{formats.parsed(codec)} ! fakesink sync=false"
    return (
        f"{formats.parsed(codec)} ! identity name=parsed ! {codec.decode} ! videoconvert"
        " ! videoscale add-borders=false ! capsfilter name=size ! jpegenc quality=75"
        " ! appsink name=picture sync=false max-buffers=2"
    )
