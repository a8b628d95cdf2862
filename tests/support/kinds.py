"""What each kind of test (the folder under tests/) cost: counts and seconds, printed at the end.

With UMBEL_TEST_TIMES=FILE several runs add up: each reads the file, adds its own and writes it.
"""

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

KINDS = ("unit", "contract", "integration", "api", "scenarios", "lab", "e2e")

Spent = dict[str, list[float]]
"""Per kind: how many tests ran, how many were skipped, and their seconds, with set-up and end."""


class Kinds:
    """Adds up the reports of a run, also those that come from xdist's workers."""

    def __init__(self) -> None:
        self.spent: Spent = defaultdict(lambda: [0, 0, 0.0])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        kind = kind_of(report.nodeid)
        if report.when == "call" and not report.skipped:
            self.spent[kind][0] += 1
        self.spent[kind][1] += report.skipped
        self.spent[kind][2] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        spent = added(self.spent, os.environ.get("UMBEL_TEST_TIMES", ""))
        if len(spent) < 2:
            return
        terminalreporter.section("time per kind")
        for line in lines(spent):
            terminalreporter.write_line(line)


def kind_of(nodeid: str) -> str:
    """The folder under tests/ of a test's id."""
    parts = nodeid.partition("::")[0].split("/")
    return parts[1] if parts[0] == "tests" and len(parts) > 2 else "other"


def added(spent: Spent, file: str) -> Spent:
    """This run and what the file holds of those before it; writes the sum."""
    path = Path(file)
    before = json.loads(path.read_text() or "{}") if file and path.exists() else {}
    total = {
        kind: [sum(pair) for pair in zip(spent.get(kind, [0, 0, 0.0]), old, strict=True)]
        for kind, old in before.items()
    } | {kind: row for kind, row in spent.items() if kind not in before}
    if file:
        path.write_text(json.dumps(total))
    return total


def lines(spent: Spent) -> list[str]:
    """A table in the order of `KINDS`, with a last line for the sum."""
    order = sorted(spent, key=lambda kind: (kind not in KINDS, [*KINDS, kind].index(kind)))
    rows = [(kind, *spent[kind]) for kind in order]
    rows.append(("all", *(sum(column) for column in zip(*spent.values(), strict=True))))
    return [
        f"{kind:12}{tests:6.0f} tests{skipped:5.0f} skipped{seconds:9.1f} s"
        for kind, tests, skipped, seconds in rows
    ]
