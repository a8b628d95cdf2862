"""A process and its descendants: what they have in memory, and the CPU that they took."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


def family(pid: int) -> Iterator[int]:
    """The process and its descendants."""
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from family(int(child))


def pss_mib(pid: int) -> float:
    """The process's own memory and its share of what it shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def cpu_s(pid: int) -> float:
    """CPU seconds of every thread of a process."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9
