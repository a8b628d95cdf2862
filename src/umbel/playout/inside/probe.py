"""In a worker: what is in a file, and a picture of it.

In: blocks of the file. Out: facts, a JPEG. The picture is decoded, so a file whose video cannot be
decoded is refused.
"""

import threading
from typing import Any

from umbel.kit.errors import UmbelError
from umbel.media.ingest import rates
from umbel.media.ingest.codecs import Codec
from umbel.playout import formats
from umbel.playout.inside.blocks import Blocks
from umbel.playout.inside.files import FilePipeline, Gst, seek
from umbel.playout.model import FileRefused

_WITHIN_S = 30.0
_LOOK_S = 0.1
_AT = 0.1
"""The picture's place in the file, as a share of its length: films begin in black."""
_MOST_JPEG_BYTES = 200_000
_END = "fakesink name=end sync=false"
_UNDECODED = "The video cannot be decoded. Export it with H.264 and AAC."


def probe(blocks: Blocks, size: int, most_pixels: int) -> tuple[dict[str, Any], bytes]:
    """Facts and a JPEG, which is empty where there is no video. Raises FileRefused."""
    facts = _Look(blocks, size, most_pixels).facts()
    if "video" not in facts:
        return facts, b""
    if "width" not in facts:
        raise FileRefused(_UNDECODED)
    return facts, _Still(blocks, size, facts).jpeg(facts["duration_s"] * _AT)


class _Look(FilePipeline):
    """What is in a file."""

    def __init__(self, blocks: Blocks, size: int, most_pixels: int) -> None:
        super().__init__(blocks, size, lambda codec: f"{formats.parsed(codec)} ! {_END}")
        self._most_pixels = most_pixels
        self._sizes: dict[str, Any] = {}

    def facts(self) -> dict[str, Any]:
        """Raises FileRefused."""
        try:
            self.pause(_WITHIN_S)
            duration_s = self.duration_s
        finally:
            self.stop()
        if not self.codecs:
            raise FileRefused(f"The file has neither video nor audio. {formats.WANTED}")
        names = {medium: codec.name for medium, codec in self.codecs.items()}
        known = {"container": self.container, "duration_s": round(duration_s, 3), **names}
        return known | self._sizes

    def linked(self, codec: Codec, part: "Gst.Bin") -> None:
        if codec.medium == "video":
            pad = part.get_by_name("end").get_static_pad("sink")
            pad.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self._on_event)

    def _on_event(self, _pad: "Gst.Pad", info: "Gst.PadProbeInfo") -> Any:
        event = info.get_event()
        if event.type == Gst.EventType.CAPS:
            structure = event.parse_caps().get_structure(0)
            known, width = structure.get_int("width")
            _, height = structure.get_int("height")
            is_rate, above, below = structure.get_fraction("framerate")
            if known:
                self._sizes |= {"width": width, "height": height}
                if width * height > self._most_pixels:
                    message = f"The pictures have {width} x {height} pixels, more than can be"
                    self._refuse(FileRefused(f"{message} streamed. Export smaller ones."))
            if is_rate and below:
                self._sizes["fps"] = round(above / below, 3)
        return Gst.PadProbeReturn.OK


class _Still(FilePipeline):
    """One picture of a file. The demuxer is held at the first data of the video, and sent to the
    picture's place."""

    def __init__(self, blocks: Blocks, size: int, facts: dict[str, Any]) -> None:
        super().__init__(blocks, size, lambda codec: _branch(codec, facts))
        self._held: tuple[Gst.Pad, int] | None = None
        self._is_held = threading.Event()
        self._is_there = threading.Event()

    def jpeg(self, at_s: float) -> bytes:
        """The key picture at or before this position. Raises FileRefused."""
        try:
            self.pipeline.set_state(Gst.State.PAUSED)
            if not self._is_held.wait(_WITHIN_S) or self._held is None:
                raise self.refusal or FileRefused(_UNDECODED)
            pad, hold = self._held
            if at_s:
                seek(pad, at_s)  # where the file has no index, it is the first picture
            pad.remove_probe(hold)
            return self._picture()
        finally:
            self.stop()

    def found(self, codec: Codec, pad: "Gst.Pad") -> None:
        if codec.medium == "video":
            kind = Gst.PadProbeType.BLOCK | Gst.PadProbeType.BUFFER
            self._held = (pad, pad.add_probe(kind, self._on_held))

    def linked(self, codec: Codec, part: "Gst.Bin") -> None:
        if codec.medium == "video":
            part.get_by_name("picture").connect("new-preroll", self._on_picture)

    def _on_picture(self, _sink: "Gst.Element") -> Any:
        self._is_there.set()
        return Gst.FlowReturn.OK

    def _on_held(self, _pad: "Gst.Pad", _info: "Gst.PadProbeInfo") -> Any:
        self._is_held.set()
        return Gst.PadProbeReturn.OK

    def _refuse(self, error: UmbelError) -> None:
        super()._refuse(error)
        self._is_held.set()

    def _picture(self) -> bytes:
        for _ in range(round(_WITHIN_S / _LOOK_S)):
            if self._is_there.is_set():
                break
            self.wait(Gst.MessageType.ASYNC_DONE, _LOOK_S)  # also that of the sound alone
        sample = self.pipeline.get_by_name("picture").emit("try-pull-preroll", 0)
        if sample is None:
            raise FileRefused(_UNDECODED)
        buffer = sample.get_buffer()
        jpeg = bytes(buffer.extract_dup(0, buffer.get_size()))
        return jpeg if len(jpeg) <= _MOST_JPEG_BYTES else b""


def _branch(codec: Codec, facts: dict[str, Any]) -> str:
    if codec.medium == "audio":
        return f"{formats.parsed(codec)} ! fakesink sync=false"
    width, height = facts["width"], facts["height"]
    most = min(formats.PICTURE_HEIGHT, formats.PICTURE_WIDTH * height // max(width, 1))
    fitted = rates.fitted((width, height), max(most, 16))
    return (
        f"{formats.parsed(codec)} ! {codec.decode} ! videoconvert ! videoscale add-borders=false"
        f" ! video/x-raw,width={fitted[0]},height={fitted[1]},pixel-aspect-ratio=1/1"
        " ! jpegenc quality=75 ! appsink name=picture sync=false emit-signals=true max-buffers=2"
    )
