"""Counting viewers from the journal: peaks, watch time and minutes, beside a simple count; CSV."""

import csv
import io
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.delivery.attendance.counting import AttendanceCounter
from umbel.delivery.attendance.model import Share
from umbel.delivery.model import Session
from umbel.kit.journal import Change
from umbel.portal import csv_tables

NOON_S = 1_800_000_000.0  # the beginning of a minute


def entry(at_s: float, session: str, what: str, event: str = "ev", edge: str = "pe2") -> Change:
    body = {"what": what, "stream": event, "access_node": "pe1", "edge": edge}
    return Change(seq=1, at_s=NOON_S + at_s, kind="session", subject=session, body=body)


def over(at_s: float, event: str = "ev") -> Change:
    body = {"what": "end", "state": "ended"}
    return Change(seq=1, at_s=NOON_S + at_s, kind="event", subject=event, body=body)


def counted(*entries: Change, until_s: float) -> AttendanceCounter:
    counter = AttendanceCounter((), NOON_S)
    for one in entries:
        counter.take(one)
    counter.advance(NOON_S + until_s)
    return counter


def test_watch_time_and_peaks_go_to_their_minutes() -> None:
    found = counted(
        entry(10, "a", "opened"),
        entry(30, "b", "opened", edge="pe3"),
        entry(40, "a", "closed"),
        entry(90, "b", "expired", edge="pe3"),
        until_s=200,
    ).gathered()
    assert found.events == {"ev": Share(opened=2, watched_s=90, peak=2)}
    assert found.minutes == {
        ("ev", int(NOON_S)): Share(opened=2, watched_s=60, peak=2),
        ("ev", int(NOON_S) + 60): Share(watched_s=30, peak=1),
    }
    assert found.places == {
        ("ev", "pe1", "pe2"): Share(opened=1, watched_s=30, peak=1),
        ("ev", "pe1", "pe3"): Share(opened=1, watched_s=60, peak=1),
    }


def test_what_was_refused_was_no_viewer() -> None:
    found = counted(
        entry(1, "a", "opened"),
        entry(1, "a", "refused"),
        entry(2, "b", "turned-away"),
        entry(3, "c", "closed"),
        until_s=60,
    ).gathered()
    assert found.events == {"ev": Share(opened=0, watched_s=0, peak=0)}


def test_the_end_of_an_event_ends_its_sessions_and_no_others() -> None:
    counter = counted(
        entry(0, "a", "opened"),
        entry(0, "b", "opened", event="other"),
        over(30),
        until_s=60,
    )
    assert {event: one.watched_s for event, one in counter.gathered().events.items()} == {
        "ev": 30,
        "other": 60,
    }


def test_a_long_time_without_viewers_costs_nothing() -> None:
    years_s = 1e12
    found = counted(entry(years_s, "a", "opened"), until_s=years_s + 10).gathered()
    assert found.events == {"ev": Share(opened=1, watched_s=10, peak=1)}
    assert len(found.minutes) <= 2


def test_renditions_are_of_one_event() -> None:
    found = counted(entry(0, "a", "opened", event="ev~360p"), until_s=10).gathered()
    assert len(found.events) == 1


def test_sessions_that_are_there_at_the_beginning_watch_and_were_opened_before() -> None:
    there = Session(
        id="a",
        stream="ev",
        access_node="pe1",
        function="f",
        edge_node="pe2",
        opened_s=0,
        seen_s=0,
        expires_s=0,
    )
    counter = AttendanceCounter([there], NOON_S)
    counter.advance(NOON_S + 5)
    counter.take(entry(5, "a", "opened"))  # the entry that told of it comes later
    assert counter.gathered().events == {"ev": Share(watched_s=5, peak=1)}
    counter.advance(NOON_S + 6)
    assert counter.gathered().events == {"ev": Share(watched_s=1, peak=1)}


@given(
    st.lists(
        st.tuples(
            st.floats(0, 600), st.sampled_from("abcd"), st.sampled_from(("opened", "closed"))
        ),
        max_size=30,
    ),
    st.lists(st.floats(0, 600), max_size=5),
)
def test_however_often_it_is_gathered_the_sums_are_the_same(
    steps: list[tuple[float, str, str]], looks: list[float]
) -> None:
    entries = [entry(at_s, who, what) for at_s, who, what in sorted(steps)]
    watched, here = 0.0, dict[str, float]()
    for at_s, who, what in sorted(steps):
        if what == "opened":
            here.setdefault(who, at_s)
        elif who in here:
            watched += at_s - here.pop(who)
    watched += sum(700 - since for since in here.values())
    sums, minutes = Share(), Counter[int]()
    counter = AttendanceCounter((), NOON_S)
    for one in sorted([*entries, *map(_look, looks)], key=lambda one: one.at_s):
        counter.take(one)
        if one.kind == "look":
            sums = _added(sums, minutes, counter)
    counter.advance(NOON_S + 700)
    sums = _added(sums, minutes, counter)
    assert sums.watched_s == pytest.approx(watched, abs=1e-3)
    assert sum(minutes.values()) == pytest.approx(watched, abs=1e-3)


def _look(at_s: float) -> Change:
    return Change(seq=1, at_s=NOON_S + at_s, kind="look", subject="", body={})


def _added(sums: Share, minutes: Counter[int], counter: AttendanceCounter) -> Share:
    found = counter.gathered()
    for (_, at_s), share in found.minutes.items():
        minutes[at_s] += share.watched_s  # type: ignore[assignment]
    return sums.plus(found.events.get("ev", Share()))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\uff1d1"])
def test_no_cell_is_a_formula(text: str) -> None:
    table = csv_tables.serialize(["head"], [[text, -1, 2.5, 'say "hi", they']])
    head, row = list(csv.reader(io.StringIO(table)))
    assert (head, row) == (["head"], [f"'{text}", "-1", "2.5", 'say "hi", they'])
