"""The server's end of the media protocol, without I/O: sessions, cached answers, subscriptions.

In: texts from links (a link is a number naming a WebSocket), and outcomes of calls. Out: calls to
carry out, and texts to deliver. A session outlives its link and moves to the link it is used on.
Neighbours: server/control.py owns the sockets, server/dispatch.py carries the calls out.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from umbel.kit.errors import UmbelError
from umbel.media.rpc import envelope
from umbel.media.rpc.envelope import Id, Request
from umbel.media.rpc.faults import Fault, MethodUnknown, ParamsInvalid, SessionUnknown
from umbel.media.rpc.subscriptions import Subscriptions

# Which parameters each method needs, all of them texts. None: `params` may be absent.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "ping": (),
    "connect": (),
    "keepAlive": ("sessionId",),
    "closeSession": (),
    "create": ("type",),
    "describe": ("object",),
    "invoke": ("object", "operation"),
    "release": ("object",),
    "subscribe": ("type", "object"),
    "unsubscribe": ("subscription", "object", "sessionId"),
    "transaction": (),
}
_ANSWER_KEPT_S = 20.0
_MOST_ANSWERS = 4096
_SESSION_KEPT_S = 240.0

_CacheKey = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A text to send on a link."""

    link: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request to carry out for a session. Answer it with `finish`."""

    session: str
    method: str
    params: Mapping[str, object]
    id: Id = None
    wants_answer: bool = True


@dataclass
class _Session:
    link: int | None
    seen_s: float


class Sessions:
    """All sessions of one server. Feeding it any text raises nothing."""

    def __init__(self, server_id: str, new_uuid: Callable[[], str]) -> None:
        self.server_id = server_id
        self._new_uuid = new_uuid
        self._sessions: dict[str, _Session] = {}
        self._of_link: dict[int, str] = {}
        self._answers: OrderedDict[_CacheKey, tuple[float, str]] = OrderedDict()
        self._pending: set[_CacheKey] = set()
        self.subscriptions = Subscriptions()

    def receive(self, link: int, text: str | bytes, now_s: float) -> Call | Delivery | None:
        """Read a text from a link. None: nothing to do now (a repeated request in progress)."""
        self.expire(now_s)
        try:
            request = envelope.parse_request(text)
            check_params(request.method, request.params)
            session = self._session_of(link, request, now_s)
        except Fault as fault:
            return self._refuse(link, text, fault)
        if request.method == "ping":
            pong = {"value": "pong"} | ({"sessionId": session} if session else {})
            return _deliver(link, request, pong)
        key = (session, json.dumps(request.id))
        known = self._answers.get(key)
        if known is not None and request.wants_answer:
            return Delivery(link=link, text=known[1])
        if key in self._pending and request.wants_answer:
            return None
        return self._call(session, request, key)

    def finish(self, call: Call, outcome: object, now_s: float) -> Delivery | None:
        """The outcome of a call: a result, or the UmbelError it failed with."""
        key = (call.session, json.dumps(call.id))
        self._pending.discard(key)
        if not call.wants_answer:
            return None
        closing = call.method == "closeSession"
        if isinstance(outcome, dict) and not closing:
            outcome = outcome | {"sessionId": call.session}
        text = envelope.response_text(call.id, outcome)
        self._answers[key] = (now_s, text)
        link = self._link(call.session)
        if closing:
            self.end(call.session)
        return None if link is None else Delivery(link=link, text=text)

    def event(
        self, object_id: str, event: str, data: Mapping[str, object], *, wall_s: float
    ) -> list[Delivery]:
        """Tell everyone who subscribed to this event of this object."""
        body = {
            "source": object_id,
            "type": event,
            "timestampMillis": str(int(wall_s * 1000)),
            "tags": [],
            **data,
        }
        value = {"object": object_id, "type": event, "data": body}
        text = envelope.notification_text("onEvent", {"value": value})
        links = [self._link(name) for name in self.subscriptions.sessions(object_id, event)]
        return [Delivery(link=link, text=text) for link in links if link is not None]

    def subscribe(self, session: str, object_id: str, event: str) -> str:
        """A new subscription's id; whether the object has the event was checked before."""
        subscription = self._new_uuid()
        self.subscriptions.add(subscription, session, object_id, event)
        return subscription

    def names(self) -> list[str]:
        """The sessions that are open."""
        return list(self._sessions)

    def end(self, session: str) -> None:
        """Forget a session and what it subscribed to."""
        gone = self._sessions.pop(session, None)
        if gone is not None and gone.link is not None:
            self._of_link.pop(gone.link, None)
        self.subscriptions.drop_session(session)

    def lost(self, link: int, now_s: float) -> None:
        """The link is closed. Its session waits some minutes for another one."""
        self._of_link.pop(link, None)
        for session in self._sessions.values():
            if session.link == link:
                session.link, session.seen_s = None, now_s

    def _session_of(self, link: int, request: Request, now_s: float) -> str:
        wanted = request.params.get("sessionId", self._of_link.get(link, ""))
        if not isinstance(wanted, str):
            raise ParamsInvalid("'sessionId' must be a text")
        if wanted not in self._sessions and _needs_session(request.method, wanted):
            raise SessionUnknown
        if request.method == "ping" and wanted not in self._sessions:
            return ""
        name = wanted or self._new_uuid()
        self._attach(name, link, now_s)
        return name

    def _attach(self, name: str, link: int, now_s: float) -> None:
        session = self._sessions.setdefault(name, _Session(link=None, seen_s=now_s))
        if session.link is not None and session.link != link:
            self._of_link.pop(session.link, None)
        session.link, session.seen_s = link, now_s
        self._of_link[link] = name

    def _call(self, session: str, request: Request, key: _CacheKey) -> Call | Delivery | None:
        call = Call(
            session=session,
            method=request.method,
            params=request.params,
            id=request.id,
            wants_answer=request.wants_answer,
        )
        if request.method == "connect":
            return self.finish(call, {"serverId": self.server_id}, self._sessions[session].seen_s)
        if request.method == "keepAlive":
            return self.finish(call, {}, self._sessions[session].seen_s)
        if request.wants_answer:
            self._pending.add(key)
        return call

    def _refuse(self, link: int, text: str | bytes, fault: Fault) -> Delivery:
        return Delivery(link=link, text=envelope.response_text(envelope.id_of(text), fault))

    def _link(self, name: str) -> int | None:
        session = self._sessions.get(name)
        return session.link if session else None

    def expire(self, now_s: float) -> None:
        """Forget old answers, and sessions that were without a link for minutes."""
        answers = self._answers
        while answers:
            at_s, _ = next(iter(answers.values()))
            if at_s + _ANSWER_KEPT_S > now_s and len(answers) <= _MOST_ANSWERS:
                break
            answers.popitem(last=False)
        kept_s = now_s - _SESSION_KEPT_S
        old = [n for n, s in self._sessions.items() if s.link is None and s.seen_s < kept_s]
        for name in old:
            self.end(name)


def _needs_session(method: str, wanted: str) -> bool:
    return method in ("keepAlive", "closeSession") or (method == "connect" and bool(wanted))


def check_params(method: str, params: Mapping[str, object]) -> None:
    """Raises MethodUnknown, or ParamsInvalid when a required parameter is missing or no text."""
    required = REQUIRED.get(method)
    if required is None:
        raise MethodUnknown
    for name in required:
        if name not in params:
            raise ParamsInvalid(f"'{name}' is required")
        if not isinstance(params[name], str):
            raise ParamsInvalid(f"'{name}' must be a text")


def _deliver(link: int, request: Request, outcome: UmbelError | Mapping[str, object]) -> Delivery:
    return Delivery(link=link, text=envelope.response_text(request.id, outcome))
