"""What changes, as it changes: server-sent events over the journal.

In: a position (`Last-Event-ID`) or none. Out: `hello` first when there was none, then each change
the reader may see; `reset` when the position is not kept any more, and `alive` in every silence, by
which a reader tells a quiet connection from a dead one.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Header, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from umbel.catalogue.model import User, UserRole, Visibility
from umbel.catalogue.visibility.model import Watcher
from umbel.kit.clock import Clock, to_rfc3339
from umbel.kit.connections import source_of
from umbel.kit.errors import Exhausted, UmbelError
from umbel.kit.journal import Change, JournalTrimmed
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.feed import Feed
from umbel.portal.metrics import Metrics

router = Resource(prefix="/api/v1", tags=["platform"])

PUBLIC = frozenset({"event", "provider", "drain"})
MOST_READERS = 1_000
MOST_READERS_PER_ADDRESS = 100  # there may be a campus behind one address
ALIVE = "event: alive\ndata: {}\n\n"


class ChangeKind(StrEnum):
    """What a server-sent event is about, and its name. HELLO and RESET are about the stream."""

    HELLO = "hello"
    RESET = "reset"
    EVENT = "event"
    PROVIDER = "provider"
    USER = "user"
    SESSION = "session"
    TREE = "tree"
    NODE = "node"
    DRAIN = "drain"
    PLAN = "plan"
    MIGRATION = "migration"
    PATH = "path"
    SLICE = "slice"
    DRAWING = "drawing"
    BORDER = "border"
    SWITCH_UP = "switch_up"
    SWITCH_DOWN = "switch_down"
    PORT_ADDED = "port_added"
    PORT_REMOVED = "port_removed"
    FUNCTION_APPEARED = "function_appeared"
    FUNCTION_LEFT = "function_left"
    LINK_UP = "link_up"
    LINK_DOWN = "link_down"
    PATH_CHANGED = "path_changed"


class ChangeOut(BaseModel):
    """The data of one server-sent event: what changed, and when. Fields beyond these depend on the
    kind."""

    model_config = ConfigDict(extra="allow")

    kind: ChangeKind
    subject: str
    at: str


class EventStream(StreamingResponse):
    """A stream of server-sent events (WHATWG HTML, section 9.2). It takes its `place` before its
    first byte, and until its end."""

    media_type = "text/event-stream"

    def __init__(self, messages: AsyncIterator[str], place: AbstractContextManager[None]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(messages, headers=headers)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await super().__call__(scope, receive, send)


# OpenAPI 3.1 has no word for one item of a stream: the schema is that of each event's data. The
# model registers it; FastAPI also lists it as JSON, because errors of this route are JSON.
_EVENTS: dict[str, Any] = {
    "model": ChangeOut,
    "description": "Server-sent events. The data of each is one change.",
    "content": {EventStream.media_type: {"schema": {"$ref": "#/components/schemas/ChangeOut"}}},
}


class TooManyReaders(Exhausted):
    """Too many streams of changes are open, in all or from this address; try again."""

    code = "umbel.too_many_readers"


@router.get(
    "/state",
    response_class=StreamingResponse,
    responses={200: _EVENTS},
)
async def follow_state(
    request: Request,
    system: auth.SystemDep,
    user: auth.OptionalUser,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventStream:
    """Every change from now, or from the position in `Last-Event-ID`. Without an operator's token
    only public events, one's own, providers, and `drain`: an edge node (the subject) that viewers
    should leave."""
    state = request.app.state
    metrics: Metrics = state.metrics
    reader = _Reader(state.feed, system.clock, state.keep_alive_s, user)
    place = _place(metrics, source_of(auth.caller(request)))
    return EventStream(reader.messages(position(last_event_id)), place)


def kinds_for(user: User | None) -> frozenset[str] | None:
    """The kinds of change the reader may see; None is all."""
    return None if user is not None and user.role is UserRole.OPERATOR else PUBLIC


def may_know(change: Change, by: Watcher) -> bool:
    """Whether a reader may know of an event's change: everybody of a listed event (all were, before
    entries had the visibility), of others those who run it."""
    visibility = change.body.get("visibility", Visibility.PUBLIC)
    return visibility == Visibility.PUBLIC or by.runs(str(change.body.get("provider_id", "")))


def position(last_event_id: str | None) -> int | None:
    """The position a reader was at; None when it had none or says something else."""
    if last_event_id is None or not (last_event_id.isascii() and last_event_id.isdecimal()):
        return None
    return int(last_event_id[:18])


def message(seq: int, kind: str, data: Mapping[str, object]) -> str:
    """One event of the stream (WHATWG HTML, section 9.2)."""
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


def event_text(change: Change) -> str:
    """A change as an event of the stream."""
    head = {"kind": change.kind, "subject": change.subject, "at": to_rfc3339(change.at_s)}
    return message(change.seq, change.kind, {**change.body, **head})


class _Reader:
    """Follows for a user, whose rights hold as long as the stream: it ends when the account
    changes, and the reader comes back with what it can show then."""

    def __init__(self, feed: Feed, clock: Clock, keep_alive_s: float, user: User | None) -> None:
        self._feed = feed
        self._clock = clock
        self._keep_alive_s = keep_alive_s
        self._kinds = kinds_for(user)
        self._by = auth.watcher_of(user)
        self._username = None if user is None else user.username

    async def messages(self, after: int | None) -> AsyncIterator[str]:
        at = self._feed.head if after is None else after
        spoke_s = self._clock.monotonic_s()
        if after is None:
            yield self._notice("hello", at)
        while not self._feed.closed:
            try:
                patience_s = spoke_s + self._keep_alive_s - self._clock.monotonic_s()
                batch = await self._feed.after(at, max(patience_s, 0.0))
            except JournalTrimmed:
                at = self._feed.head
                yield self._notice("reset", at)
                continue
            except UmbelError:
                return  # the reader comes back with its position
            if any(self._concerns_account(change) for change in batch):
                return
            at = batch[-1].seq if batch else at
            text = "".join(event_text(change) for change in batch if self._sees(change))
            if not text and self._clock.monotonic_s() - spoke_s >= self._keep_alive_s:
                text = ALIVE
            if text:
                spoke_s = self._clock.monotonic_s()
                yield text

    def _concerns_account(self, change: Change) -> bool:
        return change.kind == ChangeKind.USER and change.subject == self._username

    def _sees(self, change: Change) -> bool:
        if self._kinds is not None and change.kind not in self._kinds:
            return False
        return change.kind != ChangeKind.EVENT or may_know(change, self._by)

    def _notice(self, kind: str, head: int) -> str:
        at = to_rfc3339(self._clock.now_s())
        return message(head, kind, {"kind": kind, "subject": "", "at": at, "head": head})


@contextmanager
def _place(metrics: Metrics, source: str) -> Iterator[None]:
    """One of the streams that an address may have open. Raises TooManyReaders."""
    if not metrics.has_room(source, most=MOST_READERS, most_per_source=MOST_READERS_PER_ADDRESS):
        raise TooManyReaders
    metrics.reader_came(source)
    try:
        yield
    finally:
        metrics.reader_left(source)
