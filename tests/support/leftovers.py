"""What a test run made and a killed run leaves behind: noted while it is there, removed by the
next run.

A note is a file in a folder of ours that names its owner by pid and start; what a living run
noted is left alone, so runs do not meet.
"""

import json
import os
import secrets
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from umbel.compute.drivers.process import procfs
from umbel.kit import netns, private
from umbel.testbed import teardown

_USUAL = Path(tempfile.gettempdir()) / f"umbel-test-leftovers-{os.getuid()}"
NOTES = Path(os.environ.get("UMBEL_TEST_NOTES", _USUAL))

_GONE_WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """`folder`: processes whose command line names something in it are ended, then it is unmounted
    where it is a disk, and removed. `testbed`: one of that name, with its files in `folder`.
    `namespace`: it and the processes in it. `device`: a network device."""

    folder: str = ""
    testbed: str = ""
    namespace: str = ""
    device: str = ""

    def remove(self) -> None:
        """Nothing of it is left; not an error if there is none."""
        if self.testbed:
            teardown.down(self.testbed, Path(self.folder))
        elif self.namespace:
            _kill(netns.pids((self.namespace,)))
            _run("ip", "netns", "delete", self.namespace)
        elif self.device:
            _run("ip", "link", "delete", self.device)
        else:
            _kill(_naming(self.folder))
            if os.path.ismount(self.folder):
                _run("umount", "--lazy", self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def noted(leftover: Leftover, notes: Path = NOTES) -> Iterator[None]:
    """Note what is about to be made, for as long as it is there."""
    private.ensure_folder(notes)
    owner = procfs.read(os.getpid())
    assert owner is not None
    note = notes / f"{owner.pid}-{owner.start_ticks}-{secrets.token_hex(4)}.json"
    private.write(note, json.dumps(asdict(leftover)).encode())
    try:
        yield
    finally:
        note.unlink()


def sweep(notes: Path = NOTES) -> list[Leftover]:
    """Remove what runs noted that have ended; answers what that was."""
    if not notes.is_dir() or notes.is_symlink() or notes.stat().st_uid != os.getuid():
        return []
    return [left for note in sorted(notes.glob("*.json")) for left in _swept(note)]


def _swept(note: Path) -> Iterator[Leftover]:
    pid, start_ticks, _ = note.stem.split("-")
    owner = procfs.read(int(pid))
    if owner is not None and owner.alive and owner.key == (int(pid), int(start_ticks)):
        return
    try:
        left = Leftover(**json.loads(note.read_bytes()))
    except FileNotFoundError:  # another run sweeps, too
        return
    left.remove()
    note.unlink(missing_ok=True)
    yield left


def _naming(folder: str) -> Iterator[int]:
    """Processes whose command line names something in the folder."""
    for process in procfs.scan():
        try:
            line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        except OSError:
            continue
        if f"{folder}/".encode() in line and process.pid != os.getpid():
            yield process.pid


def _kill(pids: Iterable[int]) -> None:
    """Kill the processes, and wait until they are gone."""
    found = [process for pid in pids if (process := procfs.read(pid)) is not None]
    for process in found:
        procfs.kill_exactly(process)
    for process in found:
        pidfd = procfs.open_exactly(*process.key)
        if pidfd is not None:
            select.select([pidfd], [], [], _GONE_WITHIN_S)
            os.close(pidfd)


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=False, timeout=30)
