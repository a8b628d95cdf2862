"""When repeated events are, by the clocks of their zone. Pure; raises Unprocessable.

A time that the clocks skip is as much later, and of one that they show twice it is the first, as
RFC 5545 (section 3.3.5) has it. A month without the day has no event (RFC 5545, section 3.3.10).
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import count, islice
from zoneinfo import ZoneInfo

from umbel.catalogue.model import Event
from umbel.catalogue.series.model import MOST_EVERY, MOST_OCCURRENCES, Every, Repeat
from umbel.kit import time_zones
from umbel.kit.errors import Unprocessable

_LAST_YEAR = 2199
_LATEST = date(_LAST_YEAR, 12, 31)


def starts(first_s: float, zone: str, repeat: Repeat) -> list[float]:
    """When each event starts, the first one's start included. Raises Unprocessable."""
    check(repeat)
    known = zone_of(zone)
    first = datetime.fromtimestamp(first_s, known).replace(tzinfo=None)
    if repeat.count is not None:
        days = list(islice(_days(first.date(), repeat, _LATEST), repeat.count))
        if len(days) < repeat.count:
            raise _bad("count", "fewer: the last event would be after 2199")
    else:
        last = repeat.until or first.date()
        days = list(islice(_days(first.date(), repeat, last), MOST_OCCURRENCES + 1))
    if not 2 <= len(days) <= MOST_OCCURRENCES:
        raise _bad("until", f"a day with 2 to {MOST_OCCURRENCES} events up to it, not {len(days)}")
    later = [_at(datetime.combine(day, first.time()), known) for day in days[1:]]
    return [first_s, *later]


def check(repeat: Repeat) -> None:
    """Raise Unprocessable unless it can be followed."""
    if not 1 <= repeat.every <= MOST_EVERY:
        raise _bad("every", f"1 to {MOST_EVERY}")
    if (repeat.count is None) == (repeat.until is None):
        raise _bad("count", "given, or until, and not both")
    if repeat.count is not None and not 2 <= repeat.count <= MOST_OCCURRENCES:
        raise _bad("count", f"2 to {MOST_OCCURRENCES}")


def moved(event: Event, *, by: timedelta, lasts_s: float, zone: str) -> tuple[float, float]:
    """Start and end of an event whose clock time moves by so much, in the zone that it is in from
    now on."""
    shown = datetime.fromtimestamp(event.starts_s, zone_of(event.time_zone)).replace(tzinfo=None)
    starts_s = _at(shown + by, zone_of(zone))
    return starts_s, starts_s + lasts_s


def moves_by(before: Event, after: Event) -> timedelta:
    """How far the clock time of an event was moved."""
    old, new = (
        datetime.fromtimestamp(one.starts_s, zone_of(one.time_zone)).replace(tzinfo=None)
        for one in (before, after)
    )
    return new - old


def zone_of(name: str) -> ZoneInfo:
    """The zone. Raises Unprocessable."""
    found = time_zones.find(name)
    if found is None:
        raise _bad("time_zone", "an IANA name such as Europe/Rome")
    return found


def _at(shown: datetime, zone: ZoneInfo) -> float:
    return shown.replace(tzinfo=zone, fold=0).timestamp()


def _days(first: date, repeat: Repeat, last: date) -> Iterator[date]:
    """The days from the first to the last one."""
    for number in count():
        try:
            day = _day(first, repeat, number)
        except OverflowError:
            return
        if day is None:
            continue
        if day > last:
            return
        yield day


def _day(first: date, repeat: Repeat, number: int) -> date | None:
    """That one of the days; None where the month has no such day. Raises OverflowError."""
    ahead = repeat.every * number
    if repeat.unit is not Every.MONTH:
        return first + timedelta(days=ahead * (7 if repeat.unit is Every.WEEK else 1))
    years, month = divmod(first.month - 1 + ahead, 12)
    if first.year + years > _LAST_YEAR:
        raise OverflowError
    try:
        return date(first.year + years, month + 1, first.day)
    except ValueError:
        return None


def _bad(field: str, wanted: str) -> Unprocessable:
    named = f"repeat.{field}"
    return Unprocessable(f"{named}: {wanted}", fields=[{"field": named, "message": wanted}])
