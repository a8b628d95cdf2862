"""What anybody may find: sections of events, pages of results, and cursors between pages. Pure.

Times are epoch seconds.
"""

import math
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from umbel.catalogue.model import Event, EventState
from umbel.kit.errors import Unprocessable

T = TypeVar("T")
MOST_PAGE = 100
MOST_QUERY = 200
"""Characters of what is searched for."""
MOST_CURSOR = 600


class BadCursor(Unprocessable):
    """The cursor is not one that a page of results gave."""

    code = "umbel.bad_cursor"


class Section(Enum):
    """Where an event is for who looks for one: on now (or about to be), to come, or over."""

    LIVE = "live"
    SOON = "soon"
    PAST = "past"


STATES = {
    Section.LIVE: (EventState.OPEN, EventState.LIVE),
    Section.SOON: (EventState.SCHEDULED,),
    Section.PAST: (EventState.ENDED, EventState.CANCELLED),
}


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """Some of the results; `cursor` asks for the next ones, and is empty where there are none."""

    items: tuple[T, ...]
    cursor: str


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is looked for. No section is any, no provider is all, an empty query is everything."""

    section: Section | None = None
    query: str = ""
    provider_id: str = ""
    cursor: str = ""
    most: int = MOST_PAGE


@dataclass(frozen=True, kw_only=True)
class ListedProvider:
    """A provider, with how many of its events are live and how many are to come."""

    id: str
    name: str
    live: int
    soon: int


def event_cursor(last: Event) -> str:
    """What asks for the events after this one."""
    return _packed(f"{last.starts_s.hex()} {last.id}")


def parse_event_cursor(cursor: str) -> tuple[float, str]:
    """The start and the id of the last event that was seen. Raises BadCursor."""
    start, _, event_id = _unpacked(cursor).partition(" ")
    try:
        starts_s = float.fromhex(start)
    except (ValueError, OverflowError) as error:
        raise BadCursor from error
    if not event_id or not math.isfinite(starts_s):
        raise BadCursor
    return starts_s, event_id


def provider_cursor(last: ListedProvider) -> str:
    """What asks for the providers after this one."""
    return _packed(last.name)


def parse_provider_cursor(cursor: str) -> str:
    """The name of the last provider that was seen. Raises BadCursor."""
    return _unpacked(cursor)


def _packed(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unpacked(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError as error:  # of base64 and of UTF-8
        raise BadCursor from error
    if not text or "\0" in text:
        raise BadCursor
    return text
