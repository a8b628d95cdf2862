"""What a killed test run leaves is removed by the next one; what a living run has is left alone."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import leftovers, ovs, testbed
from support.leftovers import Leftover
from support.processes import is_dead
from umbel.kit import netns

pytestmark = pytest.mark.lab

OWNER = """
import signal, subprocess, sys
from pathlib import Path
from support import ovs, testbed
from support.leftovers import Leftover, noted
folder, name, kind = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
sleeper = [sys.executable, "-c", "import signal; signal.pause()", f"{folder}/"]
if kind == "folder":
    context = noted(Leftover(folder=str(folder)))
elif kind == "device":
    context = noted(Leftover(device="umbel-left"))
    subprocess.run(["ip", "link", "add", "umbel-left", "type", "bridge"], check=True)
elif kind == "namespace":
    context = ovs.network_namespace(name)
    sleeper = ["ip", "netns", "exec", name, *sleeper[:-1]]
else:
    context = testbed.running(testbed.line("a", "b"), folder)
with context:
    print(subprocess.Popen(sleeper, start_new_session=True).pid, flush=True)
    signal.pause()
"""


@contextmanager
def owner(folder: Path, notes: Path, kind: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A run that made something of the kind, and a process in it."""
    command = [sys.executable, "-c", OWNER, str(folder), f"umbel-{os.getpid()}-left", kind]
    env = {**os.environ, "UMBEL_TEST_NOTES": str(notes), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as run:
        try:
            yield run, int(run.stdout.readline())
        finally:
            run.kill()


@pytest.mark.parametrize("kind", ["folder", "device", "namespace", "testbed"])
def test_a_killed_run_is_cleaned_up_and_a_living_one_is_left_alone(
    tmp_path: Path, kind: str
) -> None:
    if kind != "folder" and (reason := ovs.absent() or testbed.ABSENT):
        pytest.skip(reason)
    notes, folder = tmp_path / "notes", tmp_path / "left"
    folder.mkdir()
    with owner(folder, notes, kind) as (run, pid):
        assert leftovers.sweep(notes) == []
        assert not is_dead(pid)
        (note,) = notes.iterdir()
        left = Leftover(**json.loads(note.read_bytes()))
        run.kill()
        run.wait()
        assert leftovers.sweep(notes) == [left]
        assert list(notes.iterdir()) == []
        name = left.namespace or left.testbed
        assert not name or netns.named(name) == []
        assert left.namespace or left.device or not Path(left.folder).exists()
        assert not (left.device and Path(f"/sys/class/net/{left.device}").exists())
        if kind in {"folder", "namespace"}:
            assert is_dead(pid)
        else:
            subprocess.run(["kill", str(pid)], check=True)
    assert leftovers.sweep(notes) == []
