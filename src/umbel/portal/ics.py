"""A viewer's reservations as an iCalendar object (RFC 5545), for calendar programs. Pure.

In: reservations, the time, the front end's URL. Out: text/calendar as bytes. Times are in UTC: a
moment is the same in every zone, whatever its clocks do.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from icalendar import Alarm, Calendar, Event, Timezone, TimezoneStandard
from icalendar.enums import STATUS

import umbel
from umbel.catalogue.model import EventState
from umbel.catalogue.reservations.model import Purpose, Reservation

_REFRESH = timedelta(minutes=15)
_CATEGORIES = {
    Purpose.WATCH: ["Watch"],
    Purpose.RECORD: ["Record"],
    Purpose.BOTH: ["Watch", "Record"],
}


def serialize(reservations: Sequence[Reservation], *, now_s: float, url: str) -> bytes:
    """The calendar; `url` is without a slash at its end."""
    calendar = Calendar()
    calendar.add("prodid", f"-//Umbel//Umbel {umbel.__version__}//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", "Umbel")
    calendar.add("refresh-interval", _REFRESH, parameters={"VALUE": "DURATION"})  # RFC 7986
    for one in reservations:
        calendar.add_component(_event(one, now_s, url))
    if not reservations:
        calendar.add_component(_utc_zone())  # a calendar has one component or more (section 3.4)
    return bytes(calendar.to_ical())


def _event(of: Reservation, now_s: float, url: str) -> Event:
    event, is_cancelled = of.event, of.event.state is EventState.CANCELLED
    page = f"{url}/watch/{event.id}"
    made = Event()
    made.add("uid", f"{event.id}@umbel")
    made.add("dtstamp", _utc(now_s))
    made.add("created", _utc(of.reserved_s))
    made.add("dtstart", _utc(event.starts_s))
    made.add("dtend", _utc(event.ends_s))
    made.add("summary", event.title)
    made.add("description", "\n\n".join(filter(None, (event.description, page))))
    made.add("url", page)
    made.add("categories", _CATEGORIES[of.purpose])
    made.add("status", STATUS.CANCELLED if is_cancelled else STATUS.CONFIRMED)
    # The event's version grows with each change, as clients expect of a sequence.
    made.add("sequence", event.version)
    if not is_cancelled:
        for lead_s in of.reminders.leads_s:
            made.add_component(_alarm(event.title, lead_s))
    return made


def _alarm(title: str, lead_s: int) -> Alarm:
    made = Alarm()
    made.add("action", "DISPLAY")
    made.add("trigger", timedelta(seconds=-lead_s))
    made.add("description", title)
    return made


def _utc_zone() -> Timezone:
    standard = TimezoneStandard()
    standard.add("dtstart", datetime(1970, 1, 1))  # noqa: DTZ001 -- local by section 3.6.5
    standard.add("tzoffsetfrom", timedelta())
    standard.add("tzoffsetto", timedelta())
    zone = Timezone()
    zone.add("tzid", "UTC")
    zone.add_component(standard)
    return zone


def _utc(at_s: float) -> datetime:
    return datetime.fromtimestamp(int(at_s), UTC)
