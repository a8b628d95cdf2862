"""A pipeline, and what it is when it carries a stream: a name, a role and one part of each kind."""

from collections.abc import Mapping

from umbel.kit.errors import Conflict
from umbel.media import roles
from umbel.media.model import StreamRole, StreamState
from umbel.media.rpc.faults import ParamIllegal
from umbel.media.server.elements.base import ElementContext, MediaElement, MediaObject
from umbel.media.server.elements.revoked import RevokedSessions


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
        self.revoked = RevokedSessions()

    def elements(self) -> list[MediaElement]:
        """What it holds, in the order in which it was made."""
        return [child for child in self.children.values() if isinstance(child, MediaElement)]

    def revoke_sessions(self, sessions: Mapping[str, int]) -> None:
        """Operation `revokeSessions`."""
        self.revoked.add(sessions, self.clock.now_s())
        for element in self.elements():
            element.end_sessions(sessions)

    def state(self, now_s: float) -> StreamState:
        """What it does with its stream."""
        state = StreamState(stream=self.stream, role=self.role or StreamRole.FORWARDER)
        for element in self.elements():
            state = element.described(state, now_s)
        return state


def stream_of(parent: MediaObject | None) -> str:
    """The stream an endpoint is made for. Raises ParamIllegal when its pipeline carries none."""
    return pipeline_of(parent).stream


def pipeline_of(parent: MediaObject | None) -> MediaPipeline:
    """The pipeline of an endpoint's stream. Raises ParamIllegal when it carries none."""
    if not isinstance(parent, MediaPipeline) or not parent.stream:
        raise ParamIllegal("this endpoint needs a pipeline that was made for a stream")
    return parent
