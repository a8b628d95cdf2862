"""A player that is not ours: GStreamer's (hlsdemux2), as a program of its own.

    python gst_hls.py URL CAPTIONS SECONDS

Plays what there is as fast as it comes, until so many captions were shown, or for so long. Prints
as JSON when pictures turned white and when captions were shown, in seconds of the player's time.
"""

import json
import os
import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import GLib, Gst, GstApp  # noqa: E402, F401 -- after require_version

_PICTURES = "queue ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=sink"


class Player:
    """Selects all streams, as GStreamer does by itself."""

    def __init__(self, url: str, captions: int) -> None:
        self.flashes: list[float] = []
        self.captions: list[tuple[float, str]] = []
        self.errors: list[str] = []
        self.loop = GLib.MainLoop()
        self._most = captions
        self._was_white = True
        self.pipeline = Gst.Pipeline.new()
        source = Gst.ElementFactory.make("uridecodebin3")
        source.set_property("uri", url)
        source.connect("pad-added", self._on_pad)
        self.pipeline.add(source)
        self.pipeline.get_bus().set_sync_handler(self._on_message)

    def _on_pad(self, _source: Any, pad: Any) -> None:
        kind = pad.get_name().partition("_")[0]
        words = {"video": _PICTURES, "text": "queue ! appsink name=sink"}.get(kind)
        made = Gst.parse_bin_from_description(words or "fakesink name=sink", True)
        sink = made.get_by_name("sink")
        sink.set_property("sync", False)
        sink.set_property("async", False)
        if words is not None:
            sink.set_property("emit-signals", True)
            sink.connect("new-sample", self._on_picture if kind == "video" else self._on_caption)
        self.pipeline.add(made)
        made.sync_state_with_parent()
        pad.link(made.get_static_pad("sink"))

    def _on_message(self, _bus: Any, message: Any) -> Any:
        if message.type == Gst.MessageType.ERROR:
            self.errors.append(message.parse_error()[0].message)
            self.loop.quit()
        return Gst.BusSyncReply.PASS

    def _on_caption(self, sink: Any) -> Any:
        sample = sink.emit("pull-sample")
        buffer = sample.get_buffer()
        text = buffer.extract_dup(0, buffer.get_size()).decode()
        self.captions.append((_at_s(sample), text))
        if len(self.captions) >= self._most:
            self.loop.quit()
        return Gst.FlowReturn.OK

    def _on_picture(self, sink: Any) -> Any:
        sample = sink.emit("pull-sample")
        buffer = sample.get_buffer()
        is_white = buffer.extract_dup(buffer.get_size() // 2, 1)[0] > 128
        if is_white and not self._was_white:
            self.flashes.append(_at_s(sample))
        self._was_white = is_white
        return Gst.FlowReturn.OK


def _at_s(sample: Any) -> float:
    pts = sample.get_buffer().pts
    return float(sample.get_segment().to_running_time(Gst.Format.TIME, pts) / Gst.SECOND)


def main() -> None:
    """Play, and print."""
    Gst.init(None)
    player = Player(sys.argv[1], int(sys.argv[2]))
    player.pipeline.set_state(Gst.State.PLAYING)
    GLib.timeout_add_seconds(int(sys.argv[3]), player.loop.quit)
    player.loop.run()
    seen = {name: getattr(player, name) for name in ("flashes", "captions", "errors")}
    print(json.dumps(seen), flush=True)
    os._exit(0)  # hlsdemux2 aborts where it is stopped while it loads


if __name__ == "__main__":
    main()
