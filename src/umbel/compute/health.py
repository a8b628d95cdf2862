"""When a function is lost, and when it may be started again. Values in, values out.

The process driver uses the probes and deadlines, compute/reconcile.py the restarts. A function that
waits for a processor is not lost: patience grows with the machine's load.
"""

from dataclasses import dataclass, field, replace

from umbel.kit import backoff
from umbel.kit.starting import Activity, StartLimits


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How patient the watching is. All in seconds but `most_misses`. `busy_s`: how much CPU a
    function may use from its last answer on before a missed probe counts even under load."""

    start: StartLimits = field(default_factory=lambda: StartLimits(asleep_s=15.0))
    busy_s: float = 3.0
    probe_every_s: float = 1.0
    probe_deadline_s: float = 1.0
    most_misses: int = 3
    stop_within_s: float = 3.0
    sample_every_s: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """Health probes missed in a row, and the CPU that the function used during them."""

    misses: int = 0
    cpu_s: float = 0.0


def after_probe(
    pulse: Pulse, *, answered: bool, took_s: float, spent: Activity, limits: Limits
) -> Pulse:
    """The pulse after one more probe, during which the function did what `spent` says. A probe that
    took far longer than its deadline was held up on the watcher's side (a stall, a suspended
    machine), and a function that waited for a processor could not answer: silence then proves
    nothing."""
    if answered:
        return Pulse()
    cpu_s = pulse.cpu_s + spent.cpu_s
    is_excused = cpu_s <= limits.busy_s and _is_starved(spent, took_s)
    if took_s > 2 * limits.probe_deadline_s or is_excused:
        return Pulse(misses=pulse.misses, cpu_s=cpu_s)
    return Pulse(misses=pulse.misses + 1, cpu_s=cpu_s)


def _is_starved(spent: Activity, took_s: float) -> bool:
    """Whether it wanted a processor and got little of one. What only sleeps wants none."""
    wanted = spent.is_runnable or spent.waited_s > took_s / 4
    return wanted and spent.cpu_s < took_s / 2


def is_lost(pulse: Pulse, limits: Limits) -> bool:
    """Whether the function is to be given up."""
    return pulse.misses >= limits.most_misses


FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
SETTLED_AFTER_S = 60.0
AGAIN_S = 1.0
"""How long after a refusal for want of room a function is tried again, less by a draw."""


@dataclass(frozen=True, kw_only=True)
class History:
    """How one function did: failures since it last stayed up, since when it is as it is, and when
    its machine had no room for it (MachineFull)."""

    failures: int = 0
    failed_s: float | None = None
    active_s: float | None = None
    refused_s: float | None = None


def wait_s(failures: int, draw: float = 0.0) -> float:
    """How long after its latest failure a function may be started: 0, 0.5, 1, 2 ... 30 s, less up
    to half of it by the draw (0 to 1)."""
    if failures <= 1:
        return 0.0
    return backoff.wait_s(failures - 1, draw, first_s=FIRST_WAIT_S, longest_s=LONGEST_WAIT_S)


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


def seen_refused(record: History, now_s: float) -> History:
    """The record once its machine had no room for it: that is no failure of the function."""
    return replace(record, refused_s=now_s)


def seen_started(record: History) -> History:
    """The record once the function was started (again)."""
    return History(failures=record.failures)


def may_start_in_s(name: str, record: History, now_s: float) -> float:
    """Seconds until the function of that name may be started; 0 for now. Functions that failed
    together wait differently, so that their starts do not load the machine together."""
    draw, dues = backoff.draw(name, record.failures), [now_s]
    if record.failed_s is not None:
        dues.append(record.failed_s + wait_s(record.failures, draw))
    if record.refused_s is not None:
        dues.append(record.refused_s + AGAIN_S * (1 - draw / 2))
    return max(dues) - now_s
