"""Tells a process that starts slowly from one that hangs before it is ready.

In: what /proc says of the process and its descendants, and the time. Out: why to give it up, or
nothing. A process that has a processor, or waits for one, starts; only its sleep counts against it,
so patience grows with the machine's load by itself.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_NS = 1e-9
_LONGEST_STEP_S = 2.0
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True)
class StartLimits:
    """How long a process may sleep before it is ready, and how much CPU it may use."""

    asleep_s: float = 10.0
    cpu_s: float = 60.0


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What a process has done since it began. `waited_s`: runnable, but without a processor, up to
    the last time it got one. `is_runnable`: it has a processor now or waits for one."""

    cpu_s: float = 0.0
    waited_s: float = 0.0
    is_runnable: bool = False

    def since(self, before: "Activity") -> "Activity":
        """What it has done since then, and how it is now."""
        return Activity(
            cpu_s=self.cpu_s - before.cpu_s,
            waited_s=self.waited_s - before.waited_s,
            is_runnable=self.is_runnable,
        )


class StartWatch:
    """Watches one start from `now_s` on; `before` is what its processes had done until then."""

    def __init__(
        self, now_s: float, before: Mapping[int, Activity], limits: StartLimits = StartLimits()
    ) -> None:
        self._before = before
        self._limits = limits
        self._looked_s = now_s
        self._passed_s = 0.0
        self._seen: dict[int, Activity] = {}

    def look(self, now_s: float, activities: Mapping[int, Activity]) -> str:
        """Why the process is to be given up, with what it and its descendants did; or empty."""
        # A longer step means that the watcher itself was held up, and perhaps the process too.
        self._passed_s += min(now_s - self._looked_s, _LONGEST_STEP_S)
        self._looked_s = now_s
        for pid, one in activities.items():  # what a descendant did that has ended still counts
            self._seen[pid] = one.since(self._before.get(pid, Activity()))
        cpu_s = sum(one.cpu_s for one in self._seen.values())
        if cpu_s > self._limits.cpu_s:
            return f"not ready after {self._limits.cpu_s:g} s of CPU"
        asleep_s = self._passed_s - cpu_s - sum(one.waited_s for one in self._seen.values())
        if asleep_s <= self._limits.asleep_s or any(one.is_runnable for one in activities.values()):
            return ""
        return f"not ready after {self._limits.asleep_s:g} s of sleep"


async def hangs(pid: int, is_up: asyncio.Event, limits: StartLimits) -> str:
    """Wait until the process is up: empty then, else why to give it up."""
    loop = asyncio.get_running_loop()
    start = StartWatch(loop.time(), activities(pid), limits)
    while not is_up.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await is_up.wait()
        reason = start.look(loop.time(), activities(pid))
        if reason and not is_up.is_set():
            return reason
    return ""


def activities(pid: int) -> dict[int, Activity]:
    """What a process and its descendants have done. Those that have ended are left out."""
    found = {one: _activity(one) for one in _descent(pid)}
    return {one: activity for one, activity in found.items() if activity is not None}


def activity(pid: int) -> Activity:
    """What a process has done; nothing when it is gone."""
    return _activity(pid) or Activity()


def _descent(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = (_PROC / f"{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _descent(int(child))


def _activity(pid: int) -> Activity | None:
    try:
        fields = (_PROC / f"{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        cpu_s = (int(fields[11]) + int(fields[12])) * _TICK_S
    except (OSError, ValueError, IndexError):  # it has ended
        return None
    return Activity(cpu_s=cpu_s, waited_s=_waited_s(pid), is_runnable=fields[0] == "R")


def _waited_s(pid: int) -> float:
    try:
        return int((_PROC / f"{pid}/schedstat").read_text().split()[1]) * _NS
    except (OSError, ValueError, IndexError):  # it has ended, or a kernel without it
        return 0.0
