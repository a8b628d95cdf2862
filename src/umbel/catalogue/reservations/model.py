"""A viewer's reservations, and which events can be reserved. Times are epoch seconds."""

from dataclasses import dataclass, field
from enum import Enum

from umbel.catalogue.choices.model import Choice
from umbel.catalogue.model import Event, EventState
from umbel.kit.errors import Conflict, NotFound, Unprocessable

MOST_RESERVATIONS = 1_000
"""Of one account, whatever became of the events."""


class NotReservable(Conflict):
    """The event has begun or is over."""

    code = "umbel.not_reservable"


class TooManyReservations(Conflict):
    """The account has as many reservations as there may be; cancel old ones."""

    code = "umbel.too_many_reservations"


class NoSuchFeed(NotFound):
    """The calendar's address is wrong or was revoked."""

    code = "umbel.no_such_feed"


class NoSuchReservation(NotFound):
    """You have not reserved this event; reserve it first."""

    code = "umbel.no_such_reservation"


class BadMonth(Unprocessable):
    """The month or the time zone is not known."""

    code = "umbel.bad_month"


class Purpose(Enum):
    """What somebody reserved an event for."""

    WATCH = "watch"
    RECORD = "record"
    BOTH = "both"

    @property
    def is_to_watch(self) -> bool:
        """Whether somebody means to be there, and is reminded."""
        return self is not Purpose.RECORD

    @property
    def is_to_record(self) -> bool:
        """Whether it is recorded."""
        return self is not Purpose.WATCH


TO_WATCH = tuple(one.value for one in Purpose if one.is_to_watch)
TO_RECORD = tuple(one.value for one in Purpose if one.is_to_record)
RESERVABLE = {
    Purpose.WATCH: frozenset({EventState.SCHEDULED, EventState.OPEN}),
    Purpose.BOTH: frozenset({EventState.SCHEDULED, EventState.OPEN}),
    Purpose.RECORD: frozenset({EventState.SCHEDULED, EventState.OPEN, EventState.LIVE}),
}


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """An event as it is now: a reservation has no time of its own, and follows when it moves.
    `reminders` are its own, or the account's."""

    event: Event
    purpose: Purpose
    reserved_s: float
    reminders: Choice = field(default_factory=Choice)
    has_own_reminders: bool = False
