"""What this machine uses of its CPU and memory, by everybody: /proc/stat and /proc/meminfo.

In: the files' text. Out: a `HostUsage`, whose CPU is that of the last sampling period. See proc(5).
"""

import os
from dataclasses import dataclass
from pathlib import Path

from umbel.compute.model import HostUsage

_STAT, _MEMINFO = Path("/proc/stat"), Path("/proc/meminfo")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT, _GUEST = 3, 4, 8
"""Places in the line of all CPUs. Guests' time is part of user time too: it counts once."""


@dataclass(frozen=True, kw_only=True)
class CpuTicks:
    """Clock ticks that the CPUs together were busy since the machine started, and their number."""

    busy: int
    cpus: int


def parse_cpu(stat: str) -> CpuTicks:
    """The text of /proc/stat."""
    lines = [line.split() for line in stat.splitlines() if line.startswith("cpu")]
    ticks = [int(word) for word in lines[0][1:]]
    counted = enumerate(ticks[:_GUEST])
    busy = sum(n for place, n in counted if place not in {_IDLE, _IOWAIT})
    return CpuTicks(busy=busy, cpus=len(lines) - 1)


def parse_memory_mb(meminfo: str) -> tuple[float, float]:
    """The text of /proc/meminfo: all memory, and what of it is used and cannot be reclaimed."""
    words = (line.split() for line in meminfo.splitlines())
    kib = {word[0]: int(word[1]) for word in words if word}
    whole = kib["MemTotal:"]
    return whole / 1024, (whole - kib["MemAvailable:"]) / 1024


class HostMeter:
    """Looks at this machine; its CPU over at least `every_s` seconds."""

    def __init__(self, every_s: float, now_s: float) -> None:
        self._every_s = every_s
        self._since_s = now_s
        self._before = parse_cpu(_STAT.read_text())
        self._cores_used = 0.0

    def usage(self, now_s: float) -> HostUsage:
        """What is used now."""
        elapsed_s = now_s - self._since_s
        if elapsed_s >= self._every_s:
            now = parse_cpu(_STAT.read_text())
            self._cores_used = max(0, now.busy - self._before.busy) / _TICKS_PER_S / elapsed_s
            self._before, self._since_s = now, now_s
        whole_mb, used_mb = parse_memory_mb(_MEMINFO.read_text())
        return HostUsage(
            host=os.uname().nodename,
            cores=float(self._before.cpus),
            cores_used=min(self._cores_used, float(self._before.cpus)),
            memory_mb=whole_mb,
            memory_used_mb=used_mb,
        )
