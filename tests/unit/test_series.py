"""When repeated events are: by the clock of their zone, beside dateutil's rules; bounds."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from umbel.catalogue.series import rules
from umbel.catalogue.series.model import MOST_OCCURRENCES, Every, Repeat
from umbel.kit.errors import Unprocessable

ROME = ZoneInfo("Europe/Rome")
FREQUENCY = {Every.DAY: rrule.DAILY, Every.WEEK: rrule.WEEKLY, Every.MONTH: rrule.MONTHLY}


def shown(zone: ZoneInfo, starts_s: list[float]) -> list[str]:
    return [f"{datetime.fromtimestamp(at_s, zone):%Y-%m-%dT%H:%M%z}" for at_s in starts_s]


def at(text: str, zone: ZoneInfo = ROME) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def test_the_clock_time_stays_where_the_clocks_change() -> None:
    weekly = Repeat(every=1, unit=Every.WEEK, count=3)
    found = rules.starts(at("2027-03-20T18:00"), "Europe/Rome", weekly)
    assert shown(ROME, found) == [
        "2027-03-20T18:00+0100",
        "2027-03-27T18:00+0100",
        "2027-04-03T18:00+0200",
    ]


def test_a_skipped_time_is_later_and_of_two_it_is_the_first() -> None:
    daily = Repeat(every=1, unit=Every.DAY, count=2)
    spring = rules.starts(at("2027-03-27T02:30"), "Europe/Rome", daily)
    assert shown(ROME, spring)[1] == "2027-03-28T03:30+0200"
    autumn = rules.starts(at("2027-10-30T02:30"), "Europe/Rome", daily)
    assert shown(ROME, autumn)[1] == "2027-10-31T02:30+0200"


def test_months_without_the_day_have_no_event() -> None:
    monthly = Repeat(every=1, unit=Every.MONTH, until=date(2027, 7, 31))
    found = rules.starts(at("2027-01-31T10:00"), "Europe/Rome", monthly)
    assert [text[:10] for text in shown(ROME, found)] == [
        "2027-01-31",
        "2027-03-31",
        "2027-05-31",
        "2027-07-31",
    ]


def test_the_last_day_is_one_of_the_zone() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    first_s = at("2027-01-01T01:00", tokyo)  # still the year before in UTC
    daily = Repeat(every=1, unit=Every.DAY, until=date(2027, 1, 3))
    assert len(rules.starts(first_s, "Asia/Tokyo", daily)) == 3


@given(
    st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2100-01-01")).map(
        lambda t: t.replace(second=0)
    ),
    st.sampled_from(["Europe/Rome", "America/New_York", "Asia/Kolkata", "UTC"]),
    st.sampled_from(Every),
    st.integers(1, 30),
    st.integers(2, 12),
)
def test_the_days_are_those_of_another_library(
    first: datetime, name: str, unit: Every, every: int, count: int
) -> None:
    zone = ZoneInfo(name)
    first_s = first.replace(microsecond=0, tzinfo=zone).timestamp()
    local = datetime.fromtimestamp(first_s, zone).replace(tzinfo=None)
    found = rules.starts(first_s, name, Repeat(every=every, unit=unit, count=count))
    expected = rrule.rrule(FREQUENCY[unit], local, every, count=count)
    assert found == [
        first_s,
        *(one.replace(tzinfo=zone).timestamp() for one in list(expected)[1:]),
    ]


@pytest.mark.parametrize(
    "repeat",
    [
        Repeat(every=0, unit=Every.DAY, count=3),
        Repeat(every=100, unit=Every.DAY, count=3),
        Repeat(every=1, unit=Every.DAY, count=1),
        Repeat(every=1, unit=Every.DAY, count=MOST_OCCURRENCES + 1),
        Repeat(every=1, unit=Every.DAY),
        Repeat(every=1, unit=Every.DAY, count=3, until=date(2030, 1, 1)),
        Repeat(every=1, unit=Every.DAY, until=date(2020, 1, 1)),
        Repeat(every=1, unit=Every.DAY, until=date.max),
        Repeat(every=99, unit=Every.MONTH, count=100),
    ],
)
def test_what_cannot_be_followed_is_refused(repeat: Repeat) -> None:
    with pytest.raises(Unprocessable, match="repeat"):
        rules.starts(datetime(2030, 1, 1, tzinfo=UTC).timestamp(), "UTC", repeat)


def test_the_most_are_possible() -> None:
    daily = Repeat(every=1, unit=Every.DAY, count=MOST_OCCURRENCES)
    assert len(rules.starts(at("2027-01-01T10:00"), "Europe/Rome", daily)) == MOST_OCCURRENCES
