"""The table of times per kind of test."""

from pathlib import Path

from support import kinds


def test_a_kind_is_the_folder_under_tests() -> None:
    assert kinds.kind_of("tests/unit/test_a.py::test_b[c/d]") == "unit"
    assert kinds.kind_of("tests/scenarios/chaos/test_a.py::test_b") == "scenarios"
    assert kinds.kind_of("benchmarks/a.py::test_b") == "other"


def test_runs_add_up_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "times"
    file.touch()
    kinds.added({"unit": [2, 0, 1.5], "e2e": [1, 1, 9.0]}, str(file))
    total = kinds.added({"unit": [1, 1, 0.5]}, str(file))
    assert total == {"unit": [3, 1, 2.0], "e2e": [1, 1, 9.0]}
    assert kinds.lines(total) == [
        "unit             3 tests    1 skipped      2.0 s",
        "e2e              1 tests    1 skipped      9.0 s",
        "all              4 tests    2 skipped     11.0 s",
    ]
