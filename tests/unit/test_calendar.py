"""Months in time zones, and calendars as other programs read them."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import vobject
from hypothesis import given
from hypothesis import strategies as st

from umbel.catalogue.choices.model import Choice
from umbel.catalogue.model import Event, EventState
from umbel.catalogue.reservations import months
from umbel.catalogue.reservations.model import BadMonth, Purpose, Reservation
from umbel.portal import ics

HOUR_S = 3_600
URL = "https://live.example.org"
NOW_S = 1_803_000_000.0
EVENT = Event(
    id="ev_5x0k3b9q2m7t",
    provider_id="pr_1",
    provider_name="City",
    title="Council",
    description="A meeting",
    starts_s=datetime(2027, 3, 28, 0, 30, tzinfo=UTC).timestamp(),
    ends_s=datetime(2027, 3, 28, 2, 30, tzinfo=UTC).timestamp(),
    version=3,
)
ONE = Reservation(event=EVENT, purpose=Purpose.WATCH, reserved_s=NOW_S - 60)
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)


@pytest.mark.parametrize(
    ("month", "zone", "begin", "hours"),
    [
        ("2027-01", "UTC", "2027-01-01T00:00:00+00:00", 744),
        ("2027-02", "Europe/Rome", "2027-02-01T00:00:00+01:00", 672),
        # An hour less where the clocks go forward, an hour more where they go back.
        ("2027-03", "Europe/Rome", "2027-03-01T00:00:00+01:00", 743),
        ("2027-10", "Europe/Rome", "2027-10-01T00:00:00+02:00", 745),
        ("2027-11", "America/New_York", "2027-11-01T00:00:00-04:00", 721),
        ("2027-04", "Australia/Lord_Howe", "2027-04-01T00:00:00+11:00", 720.5),
        ("2027-12", "Asia/Kathmandu", "2027-12-01T00:00:00+05:45", 744),
    ],
)
def test_a_month_begins_and_ends_by_the_zones_clocks(
    month: str, zone: str, begin: str, hours: float
) -> None:
    from_s, until_s = months.bounds(month, zone)
    assert from_s == datetime.fromisoformat(begin).timestamp()
    assert until_s - from_s == hours * HOUR_S


@given(
    st.integers(1970, 2198),
    st.integers(1, 12),
    st.sampled_from(["Europe/Rome", "Africa/Cairo", "America/Sao_Paulo", "Asia/Beirut", "UTC"]),
)
def test_each_month_begins_where_the_one_before_ends(year: int, month: int, zone: str) -> None:
    _, end_s = months.bounds(f"{year}-{month:02}", zone)
    after = f"{year + month // 12}-{month % 12 + 1:02}"
    assert months.bounds(after, zone)[0] == end_s
    local = datetime.fromtimestamp(end_s, ZoneInfo(zone))
    assert f"{local:%Y-%m}" == after


@pytest.mark.parametrize(
    ("month", "zone"),
    [
        ("2027-00", "UTC"),
        ("2027-13", "UTC"),
        ("1969-12", "UTC"),
        ("2200-01", "UTC"),
        ("2027-1", "UTC"),
        ("\u0662\u0660\u0662\u0667-01", "UTC"),
        ("2027-01", "Mars/Olympus"),
        ("2027-01", "../../etc/passwd"),
        ("2027-01", "/etc/localtime"),
        ("2027-01", "Europe"),
        ("2027-01", ""),
    ],
)
def test_what_is_no_month_or_zone(month: str, zone: str) -> None:
    with pytest.raises(BadMonth):
        months.bounds(month, zone)


@given(st.text(max_size=8), st.text(max_size=40))
def test_no_text_breaks_the_months(month: str, zone: str) -> None:
    try:
        from_s, until_s = months.bounds(month, zone)
    except BadMonth:
        return
    assert 27 * 24 * HOUR_S < until_s - from_s < 32 * 24 * HOUR_S


def parsed(*reservations: Reservation) -> list[vobject.base.Component]:
    """The events as another library reads them, checked by its own rules."""
    text = ics.serialize(reservations, now_s=NOW_S, url=URL).decode()
    calendar = vobject.readOne(text)
    assert calendar.validate(raiseException=True)
    assert calendar.version.value == "2.0"
    return list(calendar.contents.get("vevent", []))


def test_another_program_reads_the_calendar() -> None:
    (event,) = parsed(ONE)
    assert event.uid.value == f"{EVENT.id}@umbel"
    assert (event.summary.value, event.status.value) == ("Council", "CONFIRMED")
    assert event.dtstart.value.timestamp() == EVENT.starts_s
    assert event.dtend.value.timestamp() == EVENT.ends_s
    assert event.dtstart.value.utcoffset().total_seconds() == 0
    assert event.dtstamp.value.timestamp() == NOW_S
    assert event.url.value == f"{URL}/watch/{EVENT.id}"
    assert event.description.value == f"A meeting\n\n{URL}/watch/{EVENT.id}"
    assert event.sequence.value == "3"
    assert event.categories.value == ["Watch"]
    assert alarms(event) == [-86_400, -3_600, -300]


def alarms(event: vobject.base.Component) -> list[float]:
    found = event.contents.get("valarm", [])
    return [alarm.trigger.value.total_seconds() for alarm in found]


@pytest.mark.parametrize("leads_s", [(), (60,), (604_800, 90)])
def test_its_alarms_are_at_the_chosen_lead_times(leads_s: tuple[int, ...]) -> None:
    chosen = replace(ONE, reminders=Choice(leads_s=leads_s))
    (event,) = parsed(chosen)
    assert alarms(event) == [-lead_s for lead_s in leads_s]


@pytest.mark.parametrize(
    ("zone", "starts", "ends"),
    [
        # The night in which Rome's clocks go from 2 to 3: two hours that look like three.
        ("Europe/Rome", "2027-03-28 01:30", "2027-03-28 04:30"),
        ("America/New_York", "2027-03-27 20:30", "2027-03-27 22:30"),
    ],
)
def test_it_is_the_same_moment_in_every_zone(zone: str, starts: str, ends: str) -> None:
    (event,) = parsed(ONE)
    local = [
        f"{time.value.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
        for time in (event.dtstart, event.dtend)
    ]
    assert local == [starts, ends]


def test_a_cancelled_event_is_cancelled_and_rings_no_alarm() -> None:
    over = replace(ONE, event=replace(EVENT, state=EventState.CANCELLED, version=4))
    (event,) = parsed(over)
    assert (event.status.value, event.sequence.value) == ("CANCELLED", "4")
    assert "valarm" not in event.contents


def test_an_empty_calendar_is_one() -> None:
    text = ics.serialize([], now_s=NOW_S, url=URL)
    assert text.startswith(b"BEGIN:VCALENDAR\r\n")
    assert text.endswith(b"END:VCALENDAR\r\n")
    assert text.count(b"BEGIN:VTIMEZONE\r\n") == 1, "RFC 5545, section 3.4: one component or more"
    assert parsed() == []


def test_lines_are_short_and_end_as_the_standard_has_it() -> None:
    long = replace(ONE, event=replace(EVENT, title="Grüße, " * 25, description="zwölf; " * 700))
    raw = ics.serialize([long], now_s=NOW_S, url=URL)
    lines = raw.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert b"\n" not in raw.replace(b"\r\n", b"")


@given(TEXTS, TEXTS | st.just(""))
def test_any_title_and_description_arrive_as_they_are(title: str, description: str) -> None:
    said = replace(EVENT, title=title, description=description)
    (event, after) = parsed(replace(ONE, event=said), ONE)
    assert event.summary.value == title
    assert event.description.value.startswith(description)
    assert after.summary.value == "Council", "nothing got out of its place"
