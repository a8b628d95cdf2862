"""The table of times per kind of test."""

from typing import Literal

import pytest

from support import kinds

Outcome = Literal["passed", "failed", "skipped"]


def test_a_kind_is_the_folder_under_tests() -> None:
    assert kinds.kind_of("tests/unit/test_a.py::test_b[c/d]") == "unit"
    assert kinds.kind_of("tests/scenarios/chaos/test_a.py::test_b") == "scenarios"
    assert kinds.kind_of("benchmarks/a.py::test_b") == "other"


def report(nodeid: str, when: Literal["setup", "call"], outcome: Outcome) -> pytest.TestReport:
    location = (nodeid.partition("::")[0], 1, "test")
    return pytest.TestReport(nodeid, location, {}, outcome, None, when, duration=0.5)


def test_reports_add_up_by_kind() -> None:
    spent = kinds.added(
        [
            report("tests/e2e/test_b.py::test_a", "setup", "skipped"),
            report("tests/unit/test_a.py::test_a", "setup", "passed"),
            report("tests/unit/test_a.py::test_a", "call", "passed"),
            report("tests/unit/test_a.py::test_b", "call", "failed"),
        ]
    )
    assert spent == {"unit": [2, 0, 1.5], "e2e": [0, 1, 0.5]}
    assert kinds.lines(spent) == [
        "unit             2 tests    0 skipped      1.5 s",
        "e2e              0 tests    1 skipped      0.5 s",
        "all              2 tests    1 skipped      2.0 s",
    ]
