"""A pipeline, and what it is when it carries a stream: a name, a role and one part of each kind."""

from umbel.kit.errors import Conflict
from umbel.media import roles
from umbel.media.model import StreamRole
from umbel.media.rpc.faults import ParamIllegal
from umbel.media.server.elements.base import ElementContext, MediaObject


class StreamExists(Conflict):
    """This server has the stream already."""

    code = "umbel.media_stream_exists"


class MediaPipeline(MediaObject):
    """Holds elements. `stream` is empty for one that only a session uses."""

    type = "MediaPipeline"

    def __init__(self, context: ElementContext, stream: str = "", role: str = "") -> None:
        super().__init__(context)
        if bool(stream) != bool(role):
            raise ParamIllegal("a stream needs a role, and a role a stream")
        if stream:
            roles.check_name(stream)
            self.set_name(stream)
        self.stream = stream
        self.role = StreamRole(role) if role else None


def stream_of(parent: MediaObject | None) -> str:
    """The stream an endpoint is made for. Raises ParamIllegal when its pipeline carries none."""
    if not isinstance(parent, MediaPipeline) or not parent.stream:
        raise ParamIllegal("this endpoint needs a pipeline that was made for a stream")
    return parent.stream
