"""How an event is repeated."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from umbel.kit.errors import Conflict

MOST_OCCURRENCES = 100
MOST_EVERY = 99


class NotInSeries(Conflict):
    """The event was scheduled by itself: there are none that follow it."""

    code = "umbel.not_in_series"


class Every(StrEnum):
    """What passes between two events."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """After so many days, weeks or months, so many times in all, or up to and with that day. One of
    `count` and `until` is given, and not both."""

    every: int
    unit: Every
    count: int | None = None
    until: date | None = None
