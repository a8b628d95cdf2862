"""A run with a budget says at its end what it took, workers included."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BURNS = """
import time

def test_burns():
    while time.process_time() < 3:
        pass
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_the_last_lines_count_the_workers(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_burns.py").write_text(BURNS)
    options = ("-p", "conftest", "-p", "no:cacheprovider", "--budget", "1", "-n", workers)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), *options, tmp_path],
        cwd=ROOT / "tests",
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = re.search(r"([\d.]+) s of a budget of 1 s, with (\d+) s of CPU: over", ended.stdout)
    assert found, ended.stdout
    took_s, cpu_s = map(float, found.groups())
    assert took_s >= 3
    assert cpu_s >= 3
