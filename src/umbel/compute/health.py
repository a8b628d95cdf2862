"""When a function is lost, and when it may be started again. Values in, values out.

The process driver uses the probes and deadlines, compute/reconcile.py the restarts.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How patient the watching is. All in seconds but `most_misses`."""

    ready_within_s: float = 15.0
    probe_every_s: float = 1.0
    probe_deadline_s: float = 1.0
    most_misses: int = 3
    stop_within_s: float = 3.0
    sample_every_s: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """Health probes missed in a row."""

    misses: int = 0


def after_probe(pulse: Pulse, *, answered: bool, took_s: float, limits: Limits) -> Pulse:
    """The pulse after one more probe. A probe that took far longer than its deadline was held up
    on the watcher's side (a stall, a suspended machine): silence then proves nothing."""
    if answered:
        return Pulse()
    if took_s > 2 * limits.probe_deadline_s:
        return pulse
    return Pulse(misses=pulse.misses + 1)


def is_lost(pulse: Pulse, limits: Limits) -> bool:
    """Whether the function is to be given up."""
    return pulse.misses >= limits.most_misses


FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
SETTLED_AFTER_S = 60.0


@dataclass(frozen=True, kw_only=True)
class History:
    """How one function did: failures since it last stayed up, and since when it is as it is."""

    failures: int = 0
    failed_s: float | None = None
    active_s: float | None = None


def wait_s(failures: int) -> float:
    """How long after its latest failure a function may be started: 0, 0.5, 1, 2 ... 30 s."""
    if failures <= 1:
        return 0.0
    # The exponent is held so that a function failing for years cannot overflow a float.
    return min(FIRST_WAIT_S * 2.0 ** min(failures - 2, 16), LONGEST_WAIT_S)


def seen_failed(record: History, now_s: float) -> History:
    """The record once a failure was noticed. Noticing the same failure again changes nothing;
    a failure after a long life counts as the first."""
    if record.failed_s is not None:
        return record
    settled = record.active_s is not None and now_s - record.active_s >= SETTLED_AFTER_S
    return History(failures=1 if settled else record.failures + 1, failed_s=now_s)


def seen_active(record: History, now_s: float) -> History:
    """The record of a function that is up."""
    if record.active_s is not None:
        return record
    return History(failures=record.failures, active_s=now_s)


def seen_started(record: History) -> History:
    """The record once the function was started (again)."""
    return History(failures=record.failures)


def may_start_in_s(record: History, now_s: float) -> float:
    """Seconds until the function may be started; 0 for now."""
    if record.failed_s is None:
        return 0.0
    return max(0.0, record.failed_s + wait_s(record.failures) - now_s)
