"""GStreamer, wrapped: the only module with `gi`, imported by worker processes alone.

In: a pipeline's description, buffers pushed into its `appsrc`s. Out: samples of its `appsink`s and
problems, by callbacks on GStreamer's own threads. No GLib main loop, no clock: data drives.
"""

import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import Gio, Gst, GstVideo  # noqa: E402 -- the version must be required first

from umbel.kit.errors import Unavailable  # noqa: E402

_SINK = (
    "appsink name={name} sync=false async=false emit-signals=true max-buffers=64 wait-on-eos=false"
)


class PipelineFailed(Unavailable):
    """GStreamer reported an error."""

    code = "umbel.pipeline_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class GstSample:
    """What came out of a sink. Times are running times in ns, `dts_ns` is `pts_ns` when unset."""

    sink: str
    data: bytes
    pts_ns: int | None
    dts_ns: int | None
    key: bool


@dataclass(frozen=True, kw_only=True)
class Pad:
    """What a demuxer found: the caps' name and plain fields."""

    caps: str
    fields: Mapping[str, object]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, 0 where the caps do not say."""
        width, height = self.fields.get("width"), self.fields.get("height")
        known = isinstance(width, int) and isinstance(height, int)
        return (width, height) if known else (0, 0)  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """Called on streaming threads. `on_caps` before the first sample of new caps (their text)."""

    on_sample: Callable[[GstSample], None]
    on_problem: Callable[[str], None]
    on_caps: Callable[[str, str, Pad], None] = lambda *_: None


def start() -> None:
    """Initialise the library, once per process."""
    Gst.init(None)


def host_of(address: Gio.InetSocketAddress) -> str:
    """The IP address in what an element says about its peer."""
    return str(address.get_address().to_string())


def sink(name: str) -> str:
    """The description of a sink for a pipeline's text."""
    return _SINK.format(name=name)


class Pipeline:
    """A pipeline from text, with its application sources and sinks found by name."""

    def __init__(self, description: str, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._pipeline = Gst.parse_launch(f"{description} ")
        if not isinstance(self._pipeline, Gst.Pipeline):
            whole = Gst.Pipeline.new(None)
            whole.add(self._pipeline)
            self._pipeline = whole
        self._elements: dict[str, Gst.Element] = {}
        self._caps: dict[str, str] = {}
        self._ended = threading.Event()
        for element in _iterate(self._pipeline):
            self._adopt(element)
        bus = self._pipeline.get_bus()
        bus.set_sync_handler(self._on_message)

    def get(self, name: str) -> "Gst.Element":
        """An element, for signals and properties. Raises PipelineFailed."""
        element = self._elements.get(name) or self._pipeline.get_by_name(name)
        if element is None:
            raise PipelineFailed(f"no element {name}")
        self._elements[name] = element
        return element

    def play(self) -> None:
        """Start. Raises PipelineFailed."""
        if self._pipeline.set_state(Gst.State.PLAYING) == Gst.StateChangeReturn.FAILURE:
            raise PipelineFailed("the pipeline does not start")

    def pause_all(self) -> None:
        """Close devices and sockets but keep the elements."""
        self._pipeline.set_state(Gst.State.READY)

    def stop(self) -> None:
        """End and free everything."""
        self._pipeline.set_state(Gst.State.NULL)

    def push(self, name: str, data: bytes, pts_ns: int | None = None, dts_ns: int = 0) -> None:
        """Give a buffer to a source; never blocks."""
        buffer = Gst.Buffer.new_wrapped(data)
        if pts_ns is not None:
            buffer.pts = pts_ns
            buffer.dts = dts_ns or pts_ns
        self.get(name).emit("push-buffer", buffer)

    def waiting(self, name: str) -> int:
        """How many buffers a source still holds."""
        return int(self.get(name).get_property("current-level-buffers"))

    def finish(self, timeout_s: float) -> None:
        """End the sources and wait until the sinks have given everything."""
        for element in _iterate(self._pipeline):
            if _factory(element) == "appsrc":
                element.emit("end-of-stream")
        self._ended.wait(timeout_s)

    def force_key(self, sink_name: str) -> None:
        """Ask the encoder before a sink for a keyframe."""
        event = GstVideo.video_event_new_upstream_force_key_unit(Gst.CLOCK_TIME_NONE, True, 0)
        self.get(sink_name).get_static_pad("sink").push_event(event)

    def set_caps(self, name: str, text: str) -> None:
        """Say what is pushed into a source."""
        self.get(name).set_property("caps", Gst.Caps.from_string(text))

    def set_rtp_caps(self, name: str, fields: Mapping[str, str | int]) -> None:
        """Say what the RTP pushed into a source is. Values are set, never parsed."""
        structure = Gst.Structure.new_empty("application/x-rtp")
        for key, value in fields.items():
            structure.set_value(key, value)
        caps = Gst.Caps.new_empty()
        caps.append_structure(structure)
        self.get(name).set_property("caps", caps)

    def on_pad(self, name: str, describe: Callable[[Pad], str]) -> None:
        """Let `describe` say, for each pad a demuxer makes, what to link to it; empty: nothing."""

        def added(_element: object, pad: "Gst.Pad") -> None:
            caps = pad.get_current_caps() or pad.query_caps(None)
            branch = describe(_pad(caps))
            if branch:
                self._link(pad, branch)

        self.get(name).connect("pad-added", added)

    def _link(self, pad: "Gst.Pad", branch: str) -> None:
        part = Gst.parse_bin_from_description(branch, True)
        for element in _iterate(part):
            self._adopt(element)
        self._pipeline.add(part)
        part.sync_state_with_parent()
        if pad.link(part.get_static_pad("sink")) != Gst.PadLinkReturn.OK:
            self._callbacks.on_problem(f"cannot link {branch}")

    def _adopt(self, element: "Gst.Element") -> None:
        if _factory(element) == "appsink":
            element.connect("new-sample", self._on_sample)

    def _on_sample(self, element: "Gst.Element") -> "Gst.FlowReturn":
        try:
            self._take(element.get_name(), element.emit("pull-sample"))
        except Exception:  # noqa: BLE001 -- the binding would print it and go on
            self._callbacks.on_problem(traceback.format_exc())
            return Gst.FlowReturn.ERROR
        return Gst.FlowReturn.OK

    def _take(self, name: str, sample: "Gst.Sample") -> None:
        caps = sample.get_caps()
        text = caps.to_string() if caps else ""
        if text != self._caps.get(name):
            self._caps[name] = text
            self._callbacks.on_caps(name, text, _pad(caps))
        self._callbacks.on_sample(_read(name, sample))

    def _on_message(self, _bus: object, message: "Gst.Message", *_: object) -> "Gst.BusSyncReply":
        if message.type == Gst.MessageType.ERROR:
            error, detail = message.parse_error()
            self._ended.set()
            self._callbacks.on_problem(f"{message.src.get_name()}: {error.message} ({detail})")
        elif message.type == Gst.MessageType.EOS:
            self._ended.set()
        return Gst.BusSyncReply.DROP


def _iterate(container: "Gst.Bin") -> "list[Gst.Element]":
    found: list[Gst.Element] = []
    container.iterate_recurse().foreach(found.append)
    return found


def _factory(element: "Gst.Element") -> str:
    factory = element.get_factory()
    return str(factory.get_name()) if factory else ""


def _pad(caps: "Gst.Caps | None") -> Pad:
    if caps is None or caps.get_size() == 0:
        return Pad(caps="", fields={})
    structure = caps.get_structure(0)
    names = [structure.nth_field_name(index) for index in range(structure.n_fields())]
    values = {name: _plain(structure, name) for name in names}
    return Pad(caps=structure.get_name(), fields=values)


def _plain(structure: "Gst.Structure", name: str) -> object:
    known, number = structure.get_int(name)
    return number if known else structure.get_string(name)


def _read(name: str, sample: "Gst.Sample") -> GstSample:
    buffer, segment = sample.get_buffer(), sample.get_segment()
    # x264enc and the parsers move times inside their segment: only running time is comparable.
    pts_ns, dts_ns = (_running(segment, at) for at in (buffer.pts, buffer.dts))
    return GstSample(
        sink=name,
        data=buffer.extract_dup(0, buffer.get_size()),
        pts_ns=dts_ns if pts_ns is None else pts_ns,
        dts_ns=pts_ns if dts_ns is None else dts_ns,
        key=not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT),
    )


def _running(segment: "Gst.Segment", at_ns: int) -> int | None:
    if at_ns == Gst.CLOCK_TIME_NONE:
        return None
    sign, value = segment.to_running_time_full(Gst.Format.TIME, at_ns)
    if sign == 0:
        return None
    return int(value) if sign > 0 else -int(value)
