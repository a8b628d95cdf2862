"""Where time comes from. Rules take `now_s` as an argument; only services hold a clock."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two times: the calendar's for people and records, the steady one for intervals."""

    def now_s(self) -> float:
        """Seconds since the epoch (wall clock)."""

    def monotonic_s(self) -> float:
        """Seconds that never jump; comparable within one process only."""


class SystemClock:
    """The machine's clocks."""

    def now_s(self) -> float:
        return time.time()  # noqa: TID251 -- the one place that reads the wall clock

    def monotonic_s(self) -> float:
        return time.monotonic()  # noqa: TID251 -- the one place that reads the steady clock


class LoopClock:
    """The running event loop's time plus an epoch: virtual when the loop's time is."""

    def __init__(self, epoch_s: float = 1_700_000_000.0) -> None:
        self._epoch_s = epoch_s

    def now_s(self) -> float:
        return self._epoch_s + self.monotonic_s()

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


def to_rfc3339(at_s: float) -> str:
    """Epoch seconds as the text the API speaks, in UTC with milliseconds."""
    stamp = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")
