"""A folder for large files that need not outlive their process: on a disk, as tmpfs is memory.

In: folders that may do, the best first. Out: one that can be written. Neighbour: private.py has
files that are kept.
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_IN_MEMORY = {"tmpfs", "ramfs"}
_MOUNTS = Path("/proc/self/mountinfo")
_LASTING = "/var/tmp"  # noqa: S108 -- files get no name there


def folder(preferred: Iterable[Path]) -> Path | None:
    """The first of these, of /var/tmp and of the temporary folder that can be written and is on a
    disk. Where none is on a disk, the first that can be written; None where none can."""
    writable = [one for one in (*preferred, *_usual()) if _is_writable(one)]
    mounts = _MOUNTS.read_text()
    for one in writable:
        if file_system(mounts, one.stat().st_dev) not in _IN_MEMORY:
            return one
    if not writable:
        return None
    log.warning("large files take memory", folder=str(writable[0]))
    return writable[0]


def file_system(mounts: str, device: int) -> str:
    """The type of the device's file system, by the text of proc_pid_mountinfo(5); empty where it
    is not listed, as with subvolumes."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        words = line.split()
        if words[2] == number:
            return words[words.index("-") + 1]
    return ""


def _is_writable(path: Path) -> bool:
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def _usual() -> list[Path]:
    try:
        return [Path(_LASTING), Path(tempfile.gettempdir())]
    except FileNotFoundError:  # none can be written
        return []
