"""Which starts are given up: those that sleep, not those that wait for a processor."""

import os

from umbel.kit.starting import Activity, StartLimits, StartWatch, activities

LIMITS = StartLimits(asleep_s=10.0, cpu_s=60.0)


def verdicts(seconds: int, *steps: Activity, every_s: float = 0.5) -> list[str]:
    """What a watch says at each look; the last activity goes on as it is."""
    watch, found = StartWatch(100.0, {}, LIMITS), []
    for number in range(int(seconds / every_s)):
        activity = steps[min(number, len(steps) - 1)]
        found.append(watch.look(100.0 + (number + 1) * every_s, {7: activity}))
    return found


def test_a_start_that_sleeps_is_given_up_after_the_limit() -> None:
    said = verdicts(12, Activity(cpu_s=0.2))
    assert said.index("not ready after 10 s of sleep") == 20  # 10.5 s, of which 0.2 s were work


def test_a_start_that_gets_a_hundredth_of_a_processor_is_not_given_up() -> None:
    steps = [Activity(cpu_s=n * 0.005, waited_s=n * 0.49) for n in range(1, 241)]
    assert set(verdicts(120, *steps)) == {""}


def test_a_start_without_any_processor_is_not_given_up_while_it_waits_for_one() -> None:
    # The kernel adds a wait up only at its end.
    assert set(verdicts(60, Activity(is_runnable=True))) == {""}


def test_a_start_that_works_without_end_is_given_up() -> None:
    steps = [Activity(cpu_s=n * 0.5, is_runnable=True) for n in range(1, 200)]
    assert verdicts(70, *steps).index("not ready after 60 s of CPU") == 120


def test_the_work_of_descendants_counts_also_after_their_end() -> None:
    watch = StartWatch(0.0, {}, LIMITS)
    for second in range(1, 9):
        assert watch.look(second, {7: Activity(), 8: Activity(cpu_s=second)}) == ""
    assert [watch.look(second, {7: Activity()}) for second in range(9, 19)] == [""] * 10
    assert watch.look(19, {7: Activity()})


def test_a_watcher_that_was_held_up_blames_nobody() -> None:
    watch = StartWatch(0.0, {}, LIMITS)
    assert watch.look(1.0, {7: Activity()}) == ""
    assert watch.look(500.0, {7: Activity()}) == ""


def test_what_was_done_before_the_watch_began_does_not_count() -> None:
    before = {7: Activity(cpu_s=100.0, waited_s=50.0)}
    watch = StartWatch(0.0, before, LIMITS)
    for second in range(1, 10):
        assert watch.look(second, before) == ""
    assert watch.look(11.0, before) == "not ready after 10 s of sleep"


def test_what_a_running_process_did_is_read() -> None:
    mine = activities(os.getpid())[os.getpid()]
    assert mine.cpu_s > 0
    assert mine.is_runnable


def test_a_process_that_is_gone_did_nothing() -> None:
    assert activities(2**22 + 1) == {}
