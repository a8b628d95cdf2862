"""The client's end of the media protocol, without I/O: requests out, answers and events in.

Neighbour: client.py owns the socket and pairs answers with those who wait.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from umbel.media.rpc import envelope
from umbel.media.rpc.envelope import Request, Response
from umbel.media.rpc.faults import Fault


@dataclass(frozen=True, kw_only=True)
class Notification:
    """Something happened to the object `source`. `data` holds the event's own properties too."""

    source: str
    type: str
    data: Mapping[str, object]


class Requester:
    """Numbers the requests, keeps the session, reads what the server sends."""

    def __init__(self) -> None:
        self._next_id = 0
        self.session = ""

    def request(self, method: str, params: Mapping[str, object]) -> tuple[int, str]:
        """A request's id and text; it carries the session once there is one."""
        id_ = self._next_id
        self._next_id += 1
        known = {"sessionId": self.session} if self.session else {}
        return id_, envelope.request_text(method, {**params, **known}, id_)

    def receive(self, text: str | bytes) -> Response | Notification | None:
        """An answer, an event, or None for what means nothing to a client."""
        try:
            message = envelope.parse_message(text)
        except Fault:
            return None
        if isinstance(message, Request):
            return _event(message)
        self._learn_session(message.result)
        return message

    def _learn_session(self, result: object) -> None:
        session = result.get("sessionId") if isinstance(result, dict) else None
        if isinstance(session, str):
            self.session = session


def _event(message: Request) -> Notification | None:
    value = message.params.get("value")
    if message.method != "onEvent" or not isinstance(value, dict):
        return None
    object_id, event, data = value.get("object"), value.get("type"), value.get("data")
    if not (isinstance(object_id, str) and isinstance(event, str) and isinstance(data, dict)):
        return None
    return Notification(source=object_id, type=event, data=data)
