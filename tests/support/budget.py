"""The last line of `make test-fast`: what the run took, next to what it may take."""

import os
import time

import pytest

from umbel.compute.drivers.process import procfs

BUSY = 0.8
"""Less than this share of the cores that the run may use: other programs had the rest."""


class Budget:
    """Measures the run from the start of its process to the end of xdist's workers."""

    def __init__(self, budget_s: float, workers: int) -> None:
        self._budget_s = budget_s
        self._cores = max(1, min(workers, os.cpu_count() or 1))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        this = procfs.read(os.getpid())
        assert this is not None
        began_s = this.start_ticks / os.sysconf("SC_CLK_TCK")
        took_s = time.clock_gettime(time.CLOCK_BOOTTIME) - began_s
        used = os.times()
        cpu_s = used.user + used.system + used.children_user + used.children_system
        text = line(took_s, cpu_s, budget_s=self._budget_s, cores=self._cores)
        terminalreporter.write_line(text, yellow=took_s > self._budget_s)


def line(took_s: float, cpu_s: float, *, budget_s: float, cores: int) -> str:
    """What was spent, and when it is too much, why and what to do."""
    text = f"{took_s:.1f} s of a budget of {budget_s:.0f} s, with {cpu_s:.0f} s of CPU"
    if took_s <= budget_s:
        return text
    if cpu_s < BUSY * cores * took_s:
        return f"{text}: over the budget, and other programs used the machine; run it again later"
    return f"{text}: over the budget; --durations=20 names the slowest tests"
