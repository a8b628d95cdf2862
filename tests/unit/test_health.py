"""When a function is lost and when it may start again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute import health
from umbel.compute.health import History, Limits, Pulse

LIMITS = Limits()


def pulse_after(*answers: bool, took_s: float = 0.1) -> Pulse:
    pulse = Pulse()
    for answered in answers:
        pulse = health.after_probe(pulse, answered=answered, took_s=took_s, limits=LIMITS)
    return pulse


@pytest.mark.parametrize(
    ("answers", "lost"),
    [
        ((), False),
        ((False, False), False),
        ((False, False, False), True),
        ((True, False, False, True, False, False), False),
        ((True, True, False, False, False), True),
    ],
)
def test_three_misses_in_a_row_lose_a_function(answers: tuple[bool, ...], lost: bool) -> None:
    assert health.is_lost(pulse_after(*answers), LIMITS) is lost


def test_a_stalled_watcher_blames_nobody() -> None:
    assert pulse_after(False, False, False, False, took_s=2.5) == Pulse()
    # Silence up to the deadline, even with a late timer, is the function's.
    assert health.is_lost(pulse_after(False, False, False, took_s=1.3), LIMITS)


@given(st.lists(st.booleans()))
def test_lost_is_ending_with_enough_misses(answers: list[bool]) -> None:
    row = 0
    for answered in answers:
        row = 0 if answered else row + 1
    assert pulse_after(*answers).misses == row


def test_the_waits_grow_to_half_a_minute() -> None:
    assert [health.wait_s(n) for n in range(11)] == [0, 0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert health.wait_s(10**9) == 30


def test_a_function_that_fails_again_and_again_waits_longer_and_longer() -> None:
    record, now_s, waits = History(), 100.0, []
    for _ in range(5):
        record = health.seen_failed(record, now_s)
        waits.append(health.may_start_in_s(record, now_s))
        now_s += waits[-1]
        assert health.may_start_in_s(record, now_s) == 0
        record = health.seen_active(health.seen_started(record), now_s)
        now_s += 1.0
    assert waits == [0, 0.5, 1, 2, 4]


def test_looking_twice_at_one_failure_counts_once() -> None:
    once = health.seen_failed(History(), 100.0)
    assert health.seen_failed(once, 105.0) == once


def test_a_long_life_clears_the_record_and_a_short_one_does_not() -> None:
    failed = History(failures=6, failed_s=100.0)
    up = health.seen_active(health.seen_started(failed), 101.0)
    assert health.seen_active(up, 150.0) == up
    assert health.seen_failed(up, 160.9).failures == 7
    assert health.seen_failed(up, 161.0).failures == 1
