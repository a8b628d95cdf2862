"""In a worker: a file taken apart by GStreamer. The only module here with `gi`.

In: blocks of the file. Out: a pipeline whose tracks go where `describe` says. Bytes are read where
the demuxer wants them, so that it does not matter where a file has its index.
"""

import threading
from collections.abc import Callable, Mapping

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402 -- the version must be required first

from umbel.kit.errors import UmbelError  # noqa: E402
from umbel.media.ingest.codecs import Codec  # noqa: E402
from umbel.playout import formats  # noqa: E402
from umbel.playout.inside.blocks import Blocks, BytesLost  # noqa: E402
from umbel.playout.model import FileRefused  # noqa: E402

__all__ = ["SECOND_NS", "FilePipeline", "Gst", "seek"]
SECOND_NS = 1_000_000_000
_RANDOM_ACCESS = 2
_PULL_BYTES = 65_536
_TRACKS_WITHIN_S = 5.0
"""After the first data of one: some files promise tracks that they do not have."""
_QUEUE = "queue name={name} max-size-buffers=0 max-size-bytes=67108864 max-size-time=3000000000"


class FilePipeline:
    """A pipeline over one file. `describe` says what to do with the first video and the first audio
    track; other tracks are left out."""

    def __init__(self, blocks: Blocks, size: int, describe: Callable[[Codec], str]) -> None:
        Gst.init(None)
        self._blocks = blocks
        self._describe = describe
        self._at = 0
        self.container = ""
        self.codecs: dict[str, Codec] = {}
        self.refusal: UmbelError | None = None
        self.tracks = threading.Event()
        self.pipeline = Gst.Pipeline.new(None)
        self._source = Gst.ElementFactory.make("appsrc")
        for name, value in (
            ("stream-type", _RANDOM_ACCESS),
            ("size", size),
            ("format", Gst.Format.BYTES),
            ("emit-signals", True),
        ):
            self._source.set_property(name, value)
        self._source.connect("need-data", self._feed)
        self._source.connect("seek-data", self._seek)
        self._types = Gst.ElementFactory.make("typefind")
        self._types.connect("have-type", self._have_type)
        self.pipeline.add(self._source)
        self.pipeline.add(self._types)
        self._source.link(self._types)

    def pause(self, within_s: float) -> None:
        """Have all tracks, and the first data of each at its sink. Raises FileRefused."""
        self.pipeline.set_state(Gst.State.PAUSED)
        self.wait(Gst.MessageType.ASYNC_DONE, within_s)
        self.tracks.wait(min(within_s, _TRACKS_WITHIN_S))
        while within_s and self.pipeline.get_state(0)[0] is Gst.StateChangeReturn.ASYNC:
            if not self.wait(Gst.MessageType.ASYNC_DONE, within_s):
                break

    def play(self) -> None:
        """Let it run."""
        self.pipeline.set_state(Gst.State.PLAYING)

    def stop(self) -> None:
        """End it."""
        self.pipeline.set_state(Gst.State.NULL)

    @property
    def duration_s(self) -> float:
        """How long the file is; 0 where it does not say."""
        known, duration_ns = self.pipeline.query_duration(Gst.Format.TIME)
        return duration_ns / SECOND_NS if known and duration_ns > 0 else 0.0

    def wait(self, kind: "Gst.MessageType", within_s: float) -> bool:
        """Wait for such a message; whether it came. Raises FileRefused."""
        bus = self.pipeline.get_bus()
        message = bus.timed_pop_filtered(
            round(within_s * SECOND_NS), kind | Gst.MessageType.ERROR | Gst.MessageType.EOS
        )
        if self.refusal is not None:
            raise self.refusal
        if message is None:
            return False
        if message.type == Gst.MessageType.ERROR:
            error, _ = message.parse_error()
            raise FileRefused(f"The file cannot be read: {error.message}")
        return bool(message.type & kind)

    # -- on GStreamer's threads -------------------------------------------------------------

    def _feed(self, source: "Gst.Element", wanted: int) -> None:
        try:
            data = self._blocks.read(self._at, min(wanted, _PULL_BYTES) or _PULL_BYTES)
            if wanted <= 1 << 30 and len(data) < wanted:
                data += self._blocks.read(self._at + len(data), wanted - len(data))
        except (BytesLost, OSError) as error:
            self._refuse(FileRefused(f"The file cannot be read: {error}"))
            source.emit("end-of-stream")
            return
        if not data:
            source.emit("end-of-stream")
            return
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.offset = self._at
        # While the demuxer seeks, none is taken, and the next that is wanted may be the same.
        if source.emit("push-buffer", buffer) is Gst.FlowReturn.OK:
            self._at += len(data)

    def _seek(self, _source: "Gst.Element", offset: int) -> bool:
        self._at = offset
        return True

    def _have_type(self, _types: "Gst.Element", _sure: int, caps: "Gst.Caps") -> None:
        try:
            found = formats.container(caps.get_structure(0).get_name())
        except FileRefused as error:
            self._refuse(error)
            return
        self.container = found.name
        demuxer = Gst.ElementFactory.make(found.demuxer)
        demuxer.connect("pad-added", self._pad_added)
        demuxer.connect("no-more-pads", self._no_more_pads)
        self.pipeline.add(demuxer)
        self._types.link(demuxer)
        demuxer.sync_state_with_parent()

    def _pad_added(self, _demuxer: "Gst.Element", pad: "Gst.Pad") -> None:
        caps = pad.get_current_caps() or pad.query_caps(None)
        structure = caps.get_structure(0)
        try:
            codec = formats.codec(structure.get_name(), _fields(structure))
        except FileRefused as error:
            self._refuse(error)
            return
        if codec is None or codec.medium in self.codecs:
            return
        self.codecs[codec.medium] = codec
        queue = _QUEUE.format(name=f"{codec.medium}_queue")
        part = Gst.parse_bin_from_description(f"{queue} ! {self._describe(codec)}", True)
        self.pipeline.add(part)
        part.sync_state_with_parent()
        pad.link(part.get_static_pad("sink"))
        self.linked(codec, part)
        self.found(codec, pad)

    def found(self, codec: Codec, pad: "Gst.Pad") -> None:
        """The demuxer has this track at this pad, and no data of it passed yet."""

    def linked(self, codec: Codec, part: "Gst.Bin") -> None:
        """The track's part is in the pipeline."""

    def _no_more_pads(self, _demuxer: "Gst.Element") -> None:
        if not self.codecs:
            self._refuse(FileRefused(f"The file has neither video nor audio. {formats.WANTED}"))
        self.tracks.set()

    def _refuse(self, error: UmbelError) -> None:
        """Not the way that an element would: what it says then is for programmers."""
        if self.refusal is None:
            self.refusal = error
        self.tracks.set()
        structure = Gst.Structure.new_empty("refused")
        self.pipeline.post_message(Gst.Message.new_application(self.pipeline, structure))
        failed = Gst.Message.new_error(self.pipeline, _gerror(error.message), "")
        self.pipeline.post_message(failed)


def seek(pad: "Gst.Pad", position_s: float) -> bool:
    """Have a demuxer go on at the key picture at or before this position; `pad` is one of its own,
    and held: a demuxer that reads on in its thread may lose its place. Whether it can."""
    flags = Gst.SeekFlags.FLUSH | Gst.SeekFlags.KEY_UNIT | Gst.SeekFlags.SNAP_BEFORE
    at_ns = round(position_s * SECOND_NS)
    start, end = Gst.SeekType.SET, Gst.SeekType.NONE
    event = Gst.Event.new_seek(1.0, Gst.Format.TIME, flags, start, at_ns, end, -1)
    return bool(pad.send_event(event))


def _gerror(text: str) -> "object":
    return GLib.Error.new_literal(Gst.StreamError.quark(), text, Gst.StreamError.FAILED)


def _fields(structure: "Gst.Structure") -> Mapping[str, object]:
    found: dict[str, object] = {}
    for index in range(structure.n_fields()):
        name = structure.nth_field_name(index)
        known, number = structure.get_int(name)
        found[name] = number if known else structure.get_string(name)
    return found
