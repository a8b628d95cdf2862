"""Takes a testbed away: whatever has its name, complete or not, with or without its state file.

Processes are found by the namespaces they are in and by pid files, and ended by pidfd. Devices in
a namespace go with it.
"""

import os
import re
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from umbel.kit import netns
from umbel.kit.errors import Unavailable
from umbel.testbed import script, state
from umbel.testbed.hypervisor import GUESTS
from umbel.testbed.plan import OCTETS, check_name

_DEVICES = Path("/sys/class/net")
_GENTLY_S = 3.0
_FIRMLY_S = 10.0
_ROUNDS = 10


class StillThere(Unavailable):
    """Parts of the testbed cannot be removed."""

    code = "umbel.testbed_still_there"


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """What there is of a testbed in this machine."""

    namespaces: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    pids: frozenset[int] = field(default_factory=frozenset)
    folder: Path | None = None

    @property
    def anything(self) -> bool:
        """Whether anything is there."""
        return bool(self.namespaces or self.devices or self.pids or self.folder)


def find(name: str, folder: Path) -> Leftovers:
    """Whatever there is of the testbed. Raises BadTestbedName."""
    check_name(name)
    namespaces = tuple(netns.named(f"{name}-"))
    ours = re.compile(rf"{name}-(mgmt|m\d+)")
    return Leftovers(
        namespaces=namespaces,
        devices=tuple(sorted(d.name for d in _DEVICES.iterdir() if ours.fullmatch(d.name))),
        pids=frozenset({*netns.pids(namespaces), *_noted(folder)} - {os.getpid()}),
        folder=folder if folder.exists() else None,
    )


def down(
    name: str,
    folder: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Leftovers:
    """End and remove all that `find` finds; answers what was found. Not an error if there is none.
    Raises BadTestbedName, StillThere."""
    folder = folder or state.FOLDER / name
    found = find(name, folder)
    _end_all(name, folder, progress)
    for device in found.devices:
        _output("ip", "link", "delete", device)
    forget_rules()
    for done, namespace in enumerate(found.namespaces, start=1):
        _output("ip", "netns", "delete", namespace)
        progress("namespaces", done, len(found.namespaces))
    if found.folder is not None:
        shutil.rmtree(found.folder, ignore_errors=True)
        _prune(found.folder.parent)
    shutil.rmtree(GUESTS / name, ignore_errors=True)
    left = find(name, folder)
    if left.anything:
        raise StillThere(f"There is still something of testbed {name}: {left}")
    return found


def forget_rules() -> None:
    """Remove the routing rules of testbeds whose management network is gone."""
    addresses = _output("ip", "-4", "-o", "address", "show")
    rules = _output("ip", "rule", "show")
    for octet in OCTETS:
        is_there = f"lookup {script.table(octet)}\n" in rules.replace(" \n", "\n")
        if is_there and f" 10.{octet}.0.1/" not in addresses:
            _output("ip", "rule", "delete", *script.rule(octet).split())


def _end_all(name: str, folder: Path, progress: Callable[[str, int, int], None]) -> None:
    for _ in range(_ROUNDS):  # what is ended may have started others in the meantime
        pids = find(name, folder).pids
        if not pids:
            return
        progress("processes", 0, len(pids))
        _end(pids)
        progress("processes", len(pids), len(pids))
    raise StillThere("These processes do not end", pids=sorted(pids))


def _prune(folder: Path) -> None:
    """Remove our own folder of folders with its last."""
    with suppress(OSError):
        if folder == state.FOLDER:
            folder.rmdir()
            folder.parent.rmdir()


def _noted(folder: Path) -> set[int]:
    """Living processes whose pid files are in the folder. Their command lines name it: a pid that
    went to another process since does not count."""
    found = set()
    for path in folder.glob("*/*.pid"):
        pid = state.pid_of(folder, path.parent.name, path.stem)
        if pid is not None and f"{folder}/".encode() in _command_line(pid):
            found.add(pid)
    return found


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _end(pids: Iterable[int]) -> None:
    """End the processes, gently and then firmly, and wait until they are gone."""
    handles = set()
    try:
        for pid in pids:
            with suppress(ProcessLookupError):
                handles.add(os.pidfd_open(pid))
        waiting = _signalled(handles, signal.SIGTERM, _GENTLY_S)
        _signalled(waiting, signal.SIGKILL, _FIRMLY_S)
    finally:
        for handle in handles:
            os.close(handle)


def _signalled(handles: set[int], number: signal.Signals, within_s: float) -> set[int]:
    """Those that have not ended within so long after the last of the others did."""
    waiting = set(handles)
    for handle in waiting:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)
    poll = select.poll()
    for handle in waiting:
        poll.register(handle, select.POLLIN)
    while waiting:
        ended = poll.poll(within_s * 1000)
        if not ended:
            break
        for handle, _ in ended:
            poll.unregister(handle)
            waiting.discard(handle)
    return waiting


def _output(*command: str) -> str:
    """What a command said. What it could not remove is found again."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout
