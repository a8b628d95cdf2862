"""Rules against moves: patterns, hours over days and clock changes, and what is no rule."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.mobility.model import MigrationKind
from umbel.mobility.rules import (
    DAYS,
    MOST_PATTERNS,
    BadMigrationRule,
    Hours,
    MigrationRule,
    ProposedMove,
    check,
    refusals,
)

MOVE = ProposedMove(
    function="edge-pe4-1",
    source=["pe4", "pool:default"],
    target=["town", "pool:hypervisors"],
    kind=MigrationKind.FULL_TRANSFER,
    user="bert",
)
RULE = MigrationRule(name="quiet", reason="the town's link is thin")
ROME = ZoneInfo("Europe/Rome")
CLOCKS = st.times().map(lambda one: one.strftime("%H:%M"))


def at(text: str, zone: ZoneInfo = ROME) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("rule", "is_refused"),
    [
        (RULE, True),
        (replace(RULE, functions=("edge-*",)), True),
        (replace(RULE, functions=("edge-pe5-*", "edge-pe4-?")), True),
        (replace(RULE, functions=("edge",)), False),
        (replace(RULE, sources=("pe4",)), True),
        (replace(RULE, sources=("pool:default",), targets=("pool:hypervisors",)), True),
        (replace(RULE, targets=("!town",)), False),
        (replace(RULE, targets=("!pool:hypervisors",)), False),
        (replace(RULE, targets=("!city", "!village")), True),
        (replace(RULE, targets=("t*", "!town")), False),
        (replace(RULE, users=("!anna",)), True),
        (replace(RULE, users=("!bert",)), False),
        (replace(RULE, users=("anna", "bert")), True),
        (replace(RULE, kinds=(MigrationKind.REPLACEMENT,)), False),
        (replace(RULE, kinds=(MigrationKind.FULL_TRANSFER,)), True),
        (replace(RULE, functions=("edge-*",), users=("anna",)), False),
    ],
)
def test_a_rule_refuses_what_matches_all_of_it(rule: MigrationRule, *, is_refused: bool) -> None:
    check(rule)
    expected = ("the town's link is thin (rule quiet)",) if is_refused else ()
    assert refusals([rule], MOVE, 0.0) == expected


def test_all_rules_that_refuse_are_named() -> None:
    second = replace(RULE, name="second", reason="not by bert", users=("bert",))
    found = refusals([RULE, second, replace(RULE, users=("anna",))], MOVE, 0.0)
    assert found == ("the town's link is thin (rule quiet)", "not by bert (rule second)")


@pytest.mark.parametrize(
    ("hours", "moment", "holds"),
    [
        (Hours(first="18:00", last="23:00", zone="Europe/Rome"), "2026-11-30T18:00", True),
        (Hours(first="18:00", last="23:00", zone="Europe/Rome"), "2026-11-30T23:00", False),
        (Hours(first="18:00", last="23:00", zone="Europe/Rome"), "2026-11-30T17:59:59", False),
        (
            Hours(first="22:00", last="02:00", zone="Europe/Rome", days=("sat",)),
            "2026-11-29T01:59",
            True,
        ),
        (
            Hours(first="22:00", last="02:00", zone="Europe/Rome", days=("sat",)),
            "2026-11-28T01:59",
            False,
        ),
        (
            Hours(first="22:00", last="02:00", zone="Europe/Rome", days=("sat",)),
            "2026-11-28T22:00",
            True,
        ),
        (Hours(days=("sun",), zone="Europe/Rome"), "2026-11-29T00:00", True),
        (Hours(days=("sun",), zone="Europe/Rome"), "2026-11-29T23:59", True),
        (Hours(days=("sun",), zone="Europe/Rome"), "2026-11-30T00:00", False),
        # the hour that comes twice, and the one that is not there
        (Hours(first="02:00", last="03:00", zone="Europe/Rome"), "2026-10-25T02:30", True),
        (Hours(first="02:00", last="03:00", zone="Europe/Rome"), "2026-03-29T03:00", False),
    ],
)
def test_hours_follow_the_clocks_of_their_zone(hours: Hours, moment: str, *, holds: bool) -> None:
    check(replace(RULE, hours=hours))
    assert hours.hold(at(moment)) is holds


@given(CLOCKS, CLOCKS, st.sets(st.sampled_from(DAYS)), st.integers(0, 14 * 24 * 60))
def test_hours_are_what_a_walk_over_the_minutes_finds(
    first: str, last: str, days: set[str], minute: int
) -> None:
    """An oracle that begins each day's part and counts its minutes."""
    monday = datetime(2026, 1, 5, tzinfo=UTC)
    hours = Hours(first=first, last=last, days=tuple(days))
    now = monday + timedelta(minutes=minute)
    begin_h, begin_m = map(int, first.split(":"))
    end_h, end_m = map(int, last.split(":"))
    length = ((end_h - begin_h) * 60 + end_m - begin_m) % (24 * 60) or 24 * 60
    inside = False
    for day in range(-1, 16):
        begun = monday + timedelta(days=day, hours=begin_h, minutes=begin_m)
        if days and DAYS[(monday + timedelta(days=day)).weekday()] not in days:
            continue
        inside |= begun <= now < begun + timedelta(minutes=length)
    assert hours.hold(now.timestamp()) is inside


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (replace(RULE, name="Two words"), "is no name"),
        (replace(RULE, reason="  "), "the reason has"),
        (replace(RULE, reason="x" * 301), "the reason has"),
        (replace(RULE, functions=("",)), "is no pattern"),
        (replace(RULE, users=("!",)), "is no pattern"),
        (replace(RULE, users=("a" * 129,)), "is no pattern"),
        (replace(RULE, targets=("a",) * (MOST_PATTERNS + 1)), "more than"),
        (replace(RULE, hours=Hours(first="24:00")), "'24:00' is no time"),
        (replace(RULE, hours=Hours(last="8:30")), "'8:30' is no time"),
        (replace(RULE, hours=Hours(days=("monday",))), "'monday' is no day"),
        (replace(RULE, hours=Hours(zone="Mars/Base")), "is no time zone"),
        (replace(RULE, hours=Hours(zone="../etc/passwd")), "is no time zone"),
        (replace(RULE, hours=Hours(zone="")), "is no time zone"),
    ],
)
def test_what_is_no_rule_is_refused(rule: MigrationRule, problem: str) -> None:
    with pytest.raises(BadMigrationRule, match=problem):
        check(rule)


@given(st.text(max_size=200), st.text(max_size=40), st.text(max_size=10), st.text(max_size=130))
def test_any_text_is_a_rule_or_is_refused(reason: str, zone: str, clock: str, pattern: str) -> None:
    rule = replace(RULE, reason=reason, functions=(pattern,), hours=Hours(first=clock, zone=zone))
    try:
        check(rule)
    except BadMigrationRule:
        return
    refusals([rule], MOVE, 1e9)
