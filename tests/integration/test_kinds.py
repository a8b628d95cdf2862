"""Two runs of pytest with one file of reports: the second speaks of both."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from support.kinds import Kinds
def pytest_configure(config):
    config.pluginmanager.register(Kinds(config), "kinds")
"""
FIRST = """
import pytest
def test_fails():
    assert 1 == 2
def test_passes():
    pass
def test_skips():
    pytest.skip("a named reason")
"""


def run(folder: Path, kind: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", *options, f"tests/{kind}"],
        cwd=folder,
        env={**os.environ, "UMBEL_TEST_REPORTS": str(folder / "reports")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["here", "xdist"])
def test_the_second_run_speaks_of_both(tmp_path: Path, options: tuple[str, ...]) -> None:
    for kind, text in (("unit", FIRST), ("lab", "def test_passes():\n    pass\n")):
        (tmp_path / "tests" / kind).mkdir(parents=True)
        (tmp_path / "tests" / kind / f"test_{kind}.py").write_text(text)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert run(tmp_path, "unit", *options).returncode == 1
    second = run(tmp_path, "lab")
    assert second.returncode == 1, second.stderr
    assert "FAILED tests/unit/test_unit.py::test_fails" in second.stdout
    assert "a named reason" in second.stdout
    assert "1 failed, 2 passed, 1 skipped" in second.stdout.splitlines()[-1]
