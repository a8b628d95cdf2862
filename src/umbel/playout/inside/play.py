"""In a worker: a file sent to an acquirer as an encoder sends it, in real time, by SRT.

In: blocks of the file, an address and a key. Out: a transport stream over SRT, and the position
once a second. What a transport stream cannot carry is encoded again.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from umbel.media.ingest.codecs import Codec
from umbel.playout import formats
from umbel.playout.inside.blocks import Blocks
from umbel.playout.inside.files import SECOND_NS, FilePipeline, Gst, seek
from umbel.playout.model import FileRefused

_WITHIN_S = 20.0
_EVERY_S = 0.5
_SRT_LATENCY_MS = 120
_SINK = (
    "mpegtsmux name=mux alignment=7"
    " ! srtsink name=srt sync=true auto-reconnect=false wait-for-connection=true"
)


class Player(FilePipeline):
    """One file, from a position to its end."""

    def __init__(self, blocks: Blocks, size: int, uri: str, key: str) -> None:
        super().__init__(
            blocks, size, lambda codec: f"{formats.carried(codec)} ! identity name=out"
        )
        self._position_ns = 0
        self._held: list[tuple[Gst.Pad, int]] = []
        self._lock = threading.Lock()
        sending = Gst.parse_bin_from_description(_SINK, False)
        self._is_held = False
        self._mux, srt = sending.get_by_name("mux"), sending.get_by_name("srt")
        for name, value in (
            ("uri", f"{uri.partition('?')[0]}?mode=caller"),
            ("streamid", key),
            ("latency", _SRT_LATENCY_MS),
        ):
            srt.set_property(name, value)
        # A sink that is flushed gives its connection up.
        at_sink = srt.get_static_pad("sink")
        at_sink.add_probe(Gst.PadProbeType.EVENT_FLUSH, lambda *_: Gst.PadProbeReturn.DROP)
        self.pipeline.add(sending)
        self._sending = sending

    def run(self, from_s: float, on_position: Callable[[float], None]) -> None:
        """Send it. Raises FileRefused, also when the acquirer does not take it."""
        try:
            self._is_held = from_s > 0
            self.pause(0 if self._is_held else _WITHIN_S)
            if self._is_held:
                self._skip(from_s)
                self.wait(Gst.MessageType.ASYNC_DONE, _WITHIN_S)
            self.play()
            while not self.wait(Gst.MessageType.EOS, _EVERY_S):
                with self._lock:
                    position_s = self._position_ns / SECOND_NS
                on_position(position_s)
            # SRT sends what is in its buffer.
            time.sleep(2 * _SRT_LATENCY_MS / 1000)
        finally:
            self.stop()

    def _skip(self, from_s: float) -> None:
        """Have the demuxer begin at the key picture before that. The muxer never learns of it: it
        would count time from the file's beginning. Raises FileRefused."""
        if not self.tracks.wait(_WITHIN_S) or not self._held:
            raise self.refusal or FileRefused("The file's tracks were not found.")
        is_done = seek(self._held[0][0], from_s)
        for pad, probe in self._held:
            pad.remove_probe(probe)
        if not is_done:
            raise FileRefused("The file cannot be streamed from the middle: it has no index.")

    def found(self, codec: Codec, pad: "Gst.Pad") -> None:
        if not self._is_held:
            return
        kind = Gst.PadProbeType.BLOCK | Gst.PadProbeType.BUFFER | Gst.PadProbeType.EVENT_FLUSH
        held = (pad, pad.add_probe(kind, self._on_held))
        # Video decides where key pictures are.
        self._held.insert(0 if codec.medium == "video" else len(self._held), held)

    def _on_held(self, _pad: "Gst.Pad", info: "Gst.PadProbeInfo") -> Any:
        if info.type & Gst.PadProbeType.EVENT_FLUSH:
            return Gst.PadProbeReturn.DROP
        return Gst.PadProbeReturn.OK

    def linked(self, codec: Codec, part: "Gst.Bin") -> None:
        pad = part.get_static_pad("src")
        pad.add_probe(
            Gst.PadProbeType.BUFFER | Gst.PadProbeType.EVENT_DOWNSTREAM, self._on_data, {}
        )
        at_mux = self._mux.request_pad_simple("sink_%d")
        door = Gst.GhostPad.new(f"{codec.medium}_in", at_mux)
        door.set_active(True)
        self._sending.add_pad(door)
        pad.link(door)

    def _on_data(self, _pad: "Gst.Pad", info: "Gst.PadProbeInfo", kept: dict[str, Any]) -> Any:
        buffer = info.get_buffer() if info.type & Gst.PadProbeType.BUFFER else None
        if buffer is None:
            event = info.get_event()
            if event is not None and event.type == Gst.EventType.SEGMENT:
                kept["segment"] = event.parse_segment()
        elif "segment" in kept and buffer.pts != Gst.CLOCK_TIME_NONE:
            at_ns = kept["segment"].to_stream_time(Gst.Format.TIME, buffer.pts)
            if at_ns != Gst.CLOCK_TIME_NONE:
                with self._lock:
                    self._position_ns = at_ns
        return Gst.PadProbeReturn.OK
