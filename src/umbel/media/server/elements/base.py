"""What every media object can do: ids, names, tags; and every element: connect, count.

Operations of the table are methods here, named alike in snake case (`getTags` is `get_tags`).
Arguments come checked, and object ids come as the objects. Neighbours: ../registry.py makes and
keeps them, dispatch.py calls them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from umbel.kit.clock import Clock
from umbel.media.model import MediaType, StreamRole, StreamState
from umbel.media.ports import PacketSource
from umbel.media.rpc.faults import OperationUnsupported, TagUnknown
from umbel.media.rtp.feedback import Feedback, PictureRequest
from umbel.media.rtp.pads import SinkPad
from umbel.media.server.elements.flow import Count, Flow

Json = dict[str, object]
Emit = Callable[[str, str, Mapping[str, object]], None]


@dataclass(frozen=True, kw_only=True)
class ElementContext:
    """Where a new object stands: its id, what it is made in, the clock, and where events go."""

    id: str
    parent: "MediaObject | None"
    session: str
    clock: Clock
    emit: Emit


class MediaObject:
    """Anything with an id."""

    type: ClassVar[str] = "MediaObject"

    def __init__(self, context: ElementContext) -> None:
        self.id = context.id
        self.parent = context.parent
        self.session = context.session
        self.clock = context.clock
        self._emit = context.emit
        self._name = context.id
        self._created_s = context.clock.now_s()
        self._tags: dict[str, str] = {}
        self.children: dict[str, MediaObject] = {}

    async def open(self) -> None:
        """Get what it needs from the machine. Raises one of the five kinds of error."""

    async def close(self) -> None:
        """Give it back. Called once, after its children's."""

    def emit(self, event: str, data: Mapping[str, object]) -> None:
        """Send an event to the subscribers."""
        tags = self.get_tags()
        self._emit(self.id, event, {**data, "tags": tags})

    def add_tag(self, key: str, value: str) -> None:
        self._tags[key] = value

    def remove_tag(self, key: str) -> None:
        self.get_tag(key)
        del self._tags[key]

    def get_tag(self, key: str) -> str:
        if key not in self._tags:
            raise TagUnknown(f"no tag {key!r}")
        return self._tags[key]

    def get_tags(self) -> list[Json]:
        return [{"key": key, "value": value} for key, value in self._tags.items()]

    def get_id(self) -> str:
        return self.id

    def get_media_pipeline(self) -> str:
        return self.root().id

    def get_parent(self) -> str | None:
        return self.parent.id if self.parent else None

    def get_children(self) -> list[str]:
        return list(self.children)

    def get_creation_time(self) -> int:
        return int(self._created_s)

    def get_name(self) -> str:
        return self._name

    def set_name(self, name: str) -> None:
        self._name = name

    def root(self) -> "MediaObject":
        """The outermost object it is part of."""
        return self if self.parent is None else self.parent.root()


class MediaElement(MediaObject):
    """Something packets flow through: `sink` takes them, `source` gives them.

    `pad` is the sink's side of its connections: one source for each medium. Feedback goes the
    other way: `report` takes it from inside the element to what feeds it.
    """

    type = "MediaElement"
    pad: SinkPad | None = None
    source: PacketSource | None = None

    def __init__(self, context: ElementContext) -> None:
        super().__init__(context)
        self._sinks: dict[str, MediaElement] = {}
        self._sources: dict[MediaType, MediaElement] = {}
        self.flow_in = Flow()
        self.flow_out = Flow()

    def count_in(self) -> Count:
        """What came in."""
        return Count()

    def count_out(self) -> Count:
        """What went out."""
        return Count()

    def tick(self, now_s: float) -> None:
        """Twice a second: read the counters."""
        self.flow_in.sample(self.count_in(), now_s)
        self.flow_out.sample(self.count_out(), now_s)

    def described(self, state: StreamState, now_s: float) -> StreamState:
        """The stream's state with what this element knows of it; once in each observation."""
        if self.source is None:
            state = replace(state, mbps_out=state.mbps_out + self.flow_out.mbps())
        return state

    def entered(self, state: StreamState, now_s: float) -> StreamState:
        """The state with what comes in here. A rendition flows when it comes out: that is left."""
        flows = self.flow_in.is_flowing(now_s) and state.role is not StreamRole.TRANSCODER
        return replace(
            state,
            mbps_in=state.mbps_in + self.flow_in.mbps(),
            flowing=state.flowing or flows,
        )

    def report(self, feedback: Feedback, now_s: float) -> None:
        """Pass feedback on to what feeds this element; nothing when nothing does."""
        if self.pad is not None:
            self.pad.feedback(feedback, now_s)

    def end_sessions(self, sessions: Collection[str]) -> None:
        """Serve these viewers no more; nothing where there are none."""

    def request_keyframe(self) -> None:
        self.report(PictureRequest(), self.clock.monotonic_s())

    def connect(
        self,
        sink: "MediaElement",
        media_type: str | None = None,
        source_media_description: str | None = None,
        sink_media_description: str | None = None,
    ) -> None:
        source, pad = self._pads(sink)
        media = _media(media_type)
        for medium in media:
            known = sink._sources.get(medium)
            if known is not None and known is not self:
                known._disconnect(sink, [medium])
        pad.connect(source, media)
        sink._sources.update(dict.fromkeys(media, self))
        self._sinks[sink.id] = sink
        for medium in media:
            self.emit("ElementConnected", {"sink": sink.id, "mediaType": medium.value})
        # A new receiver can show nothing before its first key picture.
        source.feedback(PictureRequest(), self.clock.monotonic_s())

    def disconnect(
        self,
        sink: "MediaElement",
        media_type: str | None = None,
        source_media_description: str | None = None,
        sink_media_description: str | None = None,
    ) -> None:
        self._pads(sink)
        self._disconnect(sink, _media(media_type))

    def disconnect_all(self) -> None:
        """Before it is gone."""
        for sink in list(self._sinks.values()):
            self._disconnect(sink, list(MediaType))
        for source in set(self._sources.values()):
            source._disconnect(self, list(MediaType))

    def get_source_connections(
        self, media_type: str | None = None, description: str | None = None
    ) -> list[Json]:
        return [
            _connection(source, self, medium)
            for medium, source in self._sources.items()
            if medium in _media(media_type)
        ]

    def get_sink_connections(
        self, media_type: str | None = None, description: str | None = None
    ) -> list[Json]:
        return [
            _connection(self, sink, medium)
            for sink in self._sinks.values()
            for medium, source in sink._sources.items()
            if source is self and medium in _media(media_type)
        ]

    def get_stats(self, media_type: str | None = None) -> dict[str, Json]:
        count, flow = self.count_in(), self.flow_in
        if self.pad is not None and self.source is None:
            count, flow = self.count_out(), self.flow_out
        stats: Json = {
            "id": self.id,
            "type": "element",
            "timestampMillis": int(self.clock.now_s() * 1000),
            "packets": count.packets,
            "bytes": count.bytes,
            "bitrate": int(flow.mbps() * 1e6),
        }
        return {self.id: stats}

    def is_media_flowing_in(
        self, media_type: str, sink_media_description: str | None = None
    ) -> bool:
        return self.flow_in.is_flowing(self.clock.monotonic_s())

    def is_media_flowing_out(
        self, media_type: str, source_media_description: str | None = None
    ) -> bool:
        return self.flow_out.is_flowing(self.clock.monotonic_s())

    def is_media_transcoding(self, media_type: str, bin_name: str | None = None) -> bool:
        return False

    def _pads(self, sink: "MediaElement") -> tuple[PacketSource, SinkPad]:
        if sink.root() is not self.root():
            raise OperationUnsupported("elements of different pipelines cannot be connected")
        if self.source is None or sink.pad is None:
            raise OperationUnsupported(f"a {self.type} cannot feed a {sink.type}")
        return self.source, sink.pad

    def _disconnect(self, sink: "MediaElement", media: list[MediaType]) -> None:
        gone = [medium for medium in media if sink._sources.get(medium) is self]
        if self.source is not None and sink.pad is not None:
            sink.pad.disconnect(self.source, gone)
        for medium in gone:
            del sink._sources[medium]
            self.emit("ElementDisconnected", {"sink": sink.id, "mediaType": medium.value})
        if self not in sink._sources.values():
            self._sinks.pop(sink.id, None)


def _media(name: str | None) -> list[MediaType]:
    return list(MediaType) if name is None else [MediaType(name)]


def _connection(source: MediaElement, sink: MediaElement, medium: MediaType) -> Json:
    return {"source": source.id, "sink": sink.id, "type": medium.value}
