"""The log: one that cannot be written ends no loop, and a failure shows no values."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, os, sys
import structlog
from umbel.kit import log
from umbel.kit.controller import Controller
log.configure(json_lines=True)
runs = []
async def main():
    async def reconcile(key):
        runs.append(key)
        structlog.get_logger().info("ran")
        if len(runs) == 1:
            raise RuntimeError("its log cannot be written either")
        if len(runs) == 2:
            os.dup2(int(sys.argv[1]), 2)
        return 0.01
    controller = Controller(reconcile)
    controller.wake("a")
    while len(runs) < 3:
        await asyncio.sleep(0)
    await controller.close()
asyncio.run(main())
print(len(runs))
"""


@pytest.mark.parametrize("trouble", ["full disk", "closed pipe"])
def test_a_log_that_cannot_be_written_stops_no_loop(tmp_path: Path, trouble: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    errors = os.open("/dev/full", os.O_WRONLY) if trouble == "full disk" else writer
    later = tmp_path / "log"
    with later.open("w") as well:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(well.fileno())],
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=[well.fileno()],
            timeout=60,
            check=False,
        )
    for fd in {errors, writer}:
        os.close(fd)
    assert (done.returncode, done.stdout) == (0, b"3\n")
    text = later.read_text()
    assert "writes of the log failed before this" in text
    assert text.rstrip().endswith("}")


FAILS = """
import sys
import structlog
from umbel.kit import log
log.configure(json_lines=sys.argv[1] == "json")
def opened(key):
    raise RuntimeError("it failed")
try:
    opened("sec" + "ret")
except RuntimeError:
    structlog.get_logger().exception("request failed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_variables(form: str) -> None:
    words = [sys.executable, "-c", FAILS, form]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert "RuntimeError: it failed" in done.stderr
    assert "in opened" in done.stderr
    assert "secret" not in done.stderr
