"""One summary for several runs, and what each kind of test (the folder under tests/) cost.

With UMBEL_TEST_REPORTS=FILE a run appends its reports to the file, and reads first what earlier
runs left there: the last run's summary line, list of failures and exit code then speak of all.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

KINDS = ("unit", "contract", "integration", "api", "scenarios", "lab", "e2e", "packages")

Report = pytest.TestReport | pytest.CollectReport
Spent = dict[str, list[float]]
"""Per kind: how many tests ran, how many were skipped, and their seconds, with set-up and end."""


class Kinds:
    """Keeps the reports of a run, also those that come from xdist's workers."""

    def __init__(self, config: pytest.Config) -> None:
        file = os.environ.get("UMBEL_TEST_REPORTS", "")
        self._config = config
        self._file = Path(file) if file and not hasattr(config, "workerinput") else None
        self._earlier = self._read()
        self._reports: list[Report] = []

    @property
    def reports(self) -> list[Report]:
        """Of this run and of those before it."""
        return [*self._earlier, *self._reports]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line(f"\n{report.nodeid} failed in its {report.when}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._reports.append(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._write()
        if any(report.failed for report in self._earlier) and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            for report in self._earlier:
                terminal.stats.setdefault(self._category(report), []).append(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        spent = added(report for report in self.reports if isinstance(report, pytest.TestReport))
        if len(spent) < 2:
            return
        terminalreporter.section("time per kind")
        for line in lines(spent):
            terminalreporter.write_line(line)

    def _category(self, report: Report) -> str:
        if isinstance(report, pytest.CollectReport):
            return "error"
        category: str
        category, *_ = self._config.hook.pytest_report_teststatus(
            report=report, config=self._config
        )
        return category

    def _read(self) -> list[Report]:
        if self._file is None or not self._file.exists():
            return []
        return [self._parsed(row) for row in self._file.read_text().splitlines()]

    def _parsed(self, row: str) -> Report:
        report: Report = self._config.hook.pytest_report_from_serializable(
            config=self._config, data=json.loads(row)
        )
        if report.skipped and isinstance(report.longrepr, list):
            report.longrepr = tuple(report.longrepr)  # JSON has no tuples
        return report

    def _write(self) -> None:
        if self._file is None:
            return
        build = self._config.hook.pytest_report_to_serializable
        with self._file.open("a") as file:
            for report in self._reports:
                row: dict[str, Any] = build(config=self._config, report=report)
                row.pop("node", None)  # xdist's worker, which is gone then
                file.write(json.dumps(row, default=str) + "\n")


def kind_of(nodeid: str) -> str:
    """The folder under tests/ of a test's id."""
    parts = nodeid.partition("::")[0].split("/")
    return parts[1] if parts[0] == "tests" and len(parts) > 2 else "other"


def added(reports: Iterable[pytest.TestReport]) -> Spent:
    """What these tests cost, by kind."""
    spent: Spent = defaultdict(lambda: [0, 0, 0.0])
    for report in reports:
        row = spent[kind_of(report.nodeid)]
        row[0] += report.when == "call" and not report.skipped
        row[1] += report.skipped
        row[2] += report.duration
    return spent


def lines(spent: Spent) -> list[str]:
    """A table in the order of `KINDS`, with a last line for the sum."""
    order = sorted(spent, key=lambda kind: (kind not in KINDS, [*KINDS, kind].index(kind)))
    rows = [(kind, *spent[kind]) for kind in order]
    rows.append(("all", *(sum(column) for column in zip(*spent.values(), strict=True))))
    return [
        f"{kind:12}{tests:6.0f} tests{skipped:5.0f} skipped{seconds:9.1f} s"
        for kind, tests, skipped, seconds in rows
    ]
