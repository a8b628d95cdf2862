"""Every media object of the process: made, found, released.

In: types and parameters as the table checked them. Out: objects, and events about them. A pipeline
made for a stream is found by the stream's name and outlives its session.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import structlog

from umbel.kit.errors import NotFound
from umbel.media import roles
from umbel.media.api import SCHEMA, check
from umbel.media.rpc.faults import ObjectUnknown, ParamIllegal
from umbel.media.server.elements.base import ElementContext, Emit, MediaElement, MediaObject
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.elements.ingest_endpoint import IngestEndpoint
from umbel.media.server.elements.pipeline import MediaPipeline, StreamExists
from umbel.media.server.elements.recorder import SegmentRecorder
from umbel.media.server.elements.rtp import RtpReceiver, RtpSender
from umbel.media.server.elements.transcoder import Transcoder
from umbel.media.server.elements.viewing import HlsEndpoint, WhepEndpoint

log = structlog.get_logger(__name__)

Element = TypeVar("Element", bound=MediaElement)

# Every type of the table that can be made, and the class that is it.
ELEMENTS: Mapping[str, Callable[..., MediaElement]] = {
    "IngestEndpoint": IngestEndpoint,
    "RtpReceiver": RtpReceiver,
    "RtpSender": RtpSender,
    "Transcoder": Transcoder,
    "WhepEndpoint": WhepEndpoint,
    "HlsEndpoint": HlsEndpoint,
    "SegmentRecorder": SegmentRecorder,
}
# Reached by the stream's name, so there can be one of each.
_ONE_A_STREAM = (IngestEndpoint, WhepEndpoint, HlsEndpoint, SegmentRecorder)


class StreamUnknown(NotFound):
    """This server does not have that stream."""

    code = "umbel.stream_unknown"


class Registry:
    """The objects by id."""

    def __init__(self, server: ServerContext, emit: Emit) -> None:
        self._server = server
        self._emit = emit
        self._objects: dict[str, MediaObject] = {}
        self._streams: dict[str, MediaPipeline] = {}

    def add(self, found: MediaObject) -> None:
        """Keep an object that was made elsewhere: the server's manager."""
        self._objects[found.id] = found

    def get(self, object_id: str) -> MediaObject:
        """The object. Raises ObjectUnknown."""
        if object_id not in self._objects:
            raise ObjectUnknown(f"no object {object_id[:120]!r}")
        return self._objects[object_id]

    def pipelines(self, session: str = "") -> list[MediaPipeline]:
        """Every pipeline, or those of a session."""
        found = (o for o in self._objects.values() if isinstance(o, MediaPipeline))
        return [p for p in found if not session or p.session == session]

    def streams(self, name: str = "") -> list[MediaPipeline]:
        """The pipelines that carry a stream, or the one that carries this one."""
        if name:
            return [self._streams[name]] if name in self._streams else []
        return list(self._streams.values())

    def elements(self) -> Iterator[MediaElement]:
        """Every element."""
        return (o for o in list(self._objects.values()) if isinstance(o, MediaElement))

    def part(self, stream: str, kind: type[Element]) -> Element:
        """The one element of that kind that serves the stream. Raises StreamUnknown."""
        pipeline = self._streams.get(stream)
        found = pipeline.children.values() if pipeline else ()
        for element in found:
            if isinstance(element, kind):
                return element
        raise StreamUnknown

    async def create(self, session: str, type_name: str, given: object) -> MediaObject:
        """Make an object. Raises the table's faults, StreamExists, and what the machine refuses."""
        entry, new = check.constructor(SCHEMA, type_name)
        params = check.arguments(SCHEMA, new, given)
        if entry.name == "MediaPipeline":
            made: MediaObject = self._make_pipeline(session, params)
        else:
            made = self._make_element(session, entry.name, params)
        self._objects[made.id] = made
        try:
            await made.open()
        except BaseException:
            await self.release(made.id)
            raise
        if made.id not in self._objects:
            # Its pipeline was released while it opened; what opened since must not stay.
            await made.close()
            raise ObjectUnknown("the pipeline was released in the meantime")
        self._emit(roles.MANAGER, "ObjectCreated", {"object": made.id})
        return made

    async def release(self, object_id: str) -> None:
        """Drop the object and all in it. An unknown one is not an error."""
        if object_id == roles.MANAGER or object_id not in self._objects:
            return
        found = self._objects.pop(object_id)
        for child in list(found.children):
            await self.release(child)
        if isinstance(found, MediaPipeline):
            self._streams.pop(found.stream, None)
        if isinstance(found, MediaElement):
            found.disconnect_all()
        if found.parent is not None:
            found.parent.children.pop(object_id, None)
        try:
            await found.close()
        except Exception:
            log.exception("element did not close", element=object_id)
        self._emit(roles.MANAGER, "ObjectDestroyed", {"objectId": object_id})

    async def close(self) -> None:
        """Drop everything."""
        for pipeline in self.pipelines():
            await self.release(pipeline.id)

    def _make_pipeline(self, session: str, params: Mapping[str, object]) -> MediaPipeline:
        context = self._context(None, session, "MediaPipeline")
        made = MediaPipeline(context, **{name: str(value) for name, value in params.items()})
        if made.stream in self._streams:
            raise StreamExists
        if made.stream:
            self._streams[made.stream] = made
        return made

    def _make_element(self, session: str, kind: str, params: Mapping[str, object]) -> MediaElement:
        rest = dict(params)
        parent = self.get(str(rest.pop("mediaPipeline")))
        if not isinstance(parent, MediaPipeline):
            raise ParamIllegal("mediaPipeline must be a pipeline")
        factory = ELEMENTS[kind]
        siblings = {child.type for child in parent.children.values()}
        if factory in _ONE_A_STREAM and kind in siblings:
            raise StreamExists(f"the stream has its {kind}")
        arguments = {snake(name): value for name, value in rest.items()}
        made = factory(self._context(parent, session, kind), self._server, **arguments)
        parent.children[made.id] = made
        return made

    def _context(self, parent: MediaObject | None, session: str, kind: str) -> ElementContext:
        own = f"{uuid.uuid4()}_{check.MODULE}.{kind}"
        return ElementContext(
            id=f"{parent.id}/{own}" if parent else own,
            parent=parent,
            session=session,
            clock=self._server.clock,
            emit=self._emit,
        )


def snake(name: str) -> str:
    """`mediaPipeline` as `media_pipeline`: how the table's names are written in Python."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
