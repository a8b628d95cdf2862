"""Benches are found by their names, and read their options."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITH_OPTIONS = [
    path
    for path in sorted((ROOT / "benchmarks").glob("[a-z]*.py"))
    if "argparse" in path.read_text()
]


def done(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("path", WITH_OPTIONS, ids=lambda path: path.stem)
def test_a_bench_reads_its_options_before_it_does_anything(path: Path) -> None:
    helped = done(sys.executable, str(path), "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert f"usage: {path.name}" in helped.stdout
    refused = done(sys.executable, str(path), "--none-such")
    assert refused.returncode == 2
    assert "--none-such" in refused.stderr


def test_a_bench_is_found_by_the_name_that_it_prints() -> None:
    unknown = done(str(ROOT / "scripts" / "bench"), "none-such")
    assert unknown.returncode == 2
    listed = unknown.stderr.partition("there are: ")[2].split()
    assert {"whole-path", "plan-build", "fanout"} <= set(listed)
