"""What observers receive, and the state of each of them. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from umbel.kit.states import Table


class Kind(StrEnum):
    """The kinds of notices; the names are those of the network's events."""

    SWITCH_UP = "switch_up"
    SWITCH_DOWN = "switch_down"
    PORT_ADDED = "port_added"
    PORT_REMOVED = "port_removed"
    FUNCTION_APPEARED = "function_appeared"
    FUNCTION_LEFT = "function_left"
    LINK_UP = "link_up"
    LINK_DOWN = "link_down"
    PATH_CHANGED = "path_changed"


PING = "ping"
"""The kind of a test notice; it needs no registration, and every subscriber may get it."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that happened: `kind` is a Kind or PING, `subject` a node, a link as `a-b` or a
    stream. `id` grows with time and is the same for every subscriber; 0 before it is stored.
    `at_s` is epoch seconds."""

    id: int = 0
    at_s: float
    kind: str
    subject: str
    body: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A mail to one address: plain text, and a subject of one line. A letter that may be sent
    again has an `id`, by which mail programs know it."""

    to: str
    subject: str
    text: str
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Push:
    """A message to one browser (RFC 8030). A newer one of the same `topic` replaces one that the
    push service still has; after `ttl_s` it is not delivered any more."""

    endpoint: str
    p256dh: str
    auth: str
    payload: bytes
    ttl_s: int
    topic: str
    is_urgent: bool = False


class SubscriberState(StrEnum):
    """How a subscriber does: it answers, it does not and is tried again, or it was given up."""

    ACTIVE = "active"
    FAILING = "failing"
    DEAD = "dead"


class SubscriberEvent(Enum):
    """What a POST came to."""

    ANSWER = "answer"
    FAIL = "fail"
    GIVE_UP = "give_up"


LIFE_CYCLE: Table[SubscriberState, SubscriberEvent] = Table(
    {
        (SubscriberState.ACTIVE, SubscriberEvent.ANSWER): SubscriberState.ACTIVE,
        (SubscriberState.ACTIVE, SubscriberEvent.FAIL): SubscriberState.FAILING,
        (SubscriberState.ACTIVE, SubscriberEvent.GIVE_UP): SubscriberState.DEAD,
        (SubscriberState.FAILING, SubscriberEvent.FAIL): SubscriberState.FAILING,
        (SubscriberState.FAILING, SubscriberEvent.ANSWER): SubscriberState.ACTIVE,
        (SubscriberState.FAILING, SubscriberEvent.GIVE_UP): SubscriberState.DEAD,
        (SubscriberState.DEAD, SubscriberEvent.ANSWER): SubscriberState.ACTIVE,
    }
)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a subscriber is. `cursor` is the id of the newest notice that is done with (taken
    or dropped) and `sequence` its number among those meant for this subscriber. `failures` count
    in a row since `failing_since_s`; no try before `retry_at_s` (epoch seconds). `dropped` counts
    what it was too slow for: its queue was full."""

    state: SubscriberState = SubscriberState.ACTIVE
    cursor: int = 0
    sequence: int = 0
    failures: int = 0
    failing_since_s: float | None = None
    retry_at_s: float = 0.0
    last_error: str = ""
    last_error_s: float | None = None
    last_answer_s: float | None = None
    delivered: int = 0
    dropped: int = 0


@dataclass(frozen=True, kw_only=True)
class Subscriber:
    """A subscriber: its callback URL, what it wants to know, and its sealed secret."""

    id: str
    url: str
    kinds: frozenset[Kind]
    note: str = ""
    created_s: float
    sealed_secret: str
    progress: Progress = Progress()


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a function runs and what as; the roster of them survives a restart."""

    node: str
    role: str


Roster = Mapping[str, Place]
"""Every function that runs, by its id."""
