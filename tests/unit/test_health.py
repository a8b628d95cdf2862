"""When a function is lost and when it may start again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute import health
from umbel.compute.health import History, Limits, Pulse
from umbel.kit import backoff
from umbel.kit.starting import Activity

LIMITS = Limits()


ASLEEP = Activity()


def pulse_after(*answers: bool, took_s: float = 0.1, spent: Activity = ASLEEP) -> Pulse:
    pulse = Pulse()
    for answered in answers:
        pulse = health.after_probe(
            pulse, answered=answered, took_s=took_s, spent=spent, limits=LIMITS
        )
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


def probes_until_lost(spent: Activity, *, most: int = 100) -> int:
    """How many probes of the default deadline are missed before the function is given up; `most`
    when it is not."""
    for count in range(1, most):
        lost = pulse_after(*[False] * count, took_s=LIMITS.probe_deadline_s, spent=spent)
        if health.is_lost(lost, LIMITS):
            return count
    return most


def test_a_function_that_waits_for_a_processor_is_not_lost() -> None:
    assert probes_until_lost(Activity(is_runnable=True)) == 100
    assert probes_until_lost(Activity(cpu_s=0.02, waited_s=0.9)) == 100


def test_a_stopped_function_is_lost_within_five_seconds() -> None:
    wait_s = LIMITS.probe_every_s  # it may have stopped right after an answer
    assert wait_s + probes_until_lost(ASLEEP) * LIMITS.probe_deadline_s <= 5


def test_a_function_that_loops_is_lost_also_on_a_busy_machine() -> None:
    assert probes_until_lost(Activity(cpu_s=0.9, is_runnable=True)) == 3
    # A fifth of a processor: after 3 s of CPU since its last answer.
    assert 15 <= probes_until_lost(Activity(cpu_s=0.2, waited_s=0.8, is_runnable=True)) <= 18


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
        waits.append(health.may_start_in_s("edge-1", record, now_s))
        now_s += waits[-1]
        assert health.may_start_in_s("edge-1", record, now_s) < 1e-9
        record = health.seen_active(health.seen_started(record), now_s)
        now_s += 1.0
    draws = [backoff.draw("edge-1", failures) for failures in range(1, 6)]
    whole = [0, 0.5, 1, 2, 4]
    assert waits == pytest.approx([w * (1 - d / 2) for w, d in zip(whole, draws, strict=True)])


def test_functions_that_failed_together_start_apart() -> None:
    record = History(failures=4, failed_s=100.0)
    waits = {health.may_start_in_s(f"edge-{n}", record, 100.0) for n in range(50)}
    assert len(waits) == 50
    assert all(1 <= wait_s <= 2 for wait_s in waits)


def test_looking_twice_at_one_failure_counts_once() -> None:
    once = health.seen_failed(History(), 100.0)
    assert health.seen_failed(once, 105.0) == once


def test_a_long_life_clears_the_record_and_a_short_one_does_not() -> None:
    failed = History(failures=6, failed_s=100.0)
    up = health.seen_active(health.seen_started(failed), 101.0)
    assert health.seen_active(up, 150.0) == up
    assert health.seen_failed(up, 160.9).failures == 7
    assert health.seen_failed(up, 161.0).failures == 1
