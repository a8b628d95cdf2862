"""Files and folders for their owner alone, whatever the umask says and whatever was there before.

In: paths. Out: modes 0600 and 0700. What belongs to somebody else stays as it is, with a warning.
"""

import os
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_FOLDER, _FILE = 0o700, 0o600


def ensure_folder(path: Path) -> None:
    """Make the folder, or take it and its files from everybody else."""
    path.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    _close(path, _FOLDER)
    for inside in path.iterdir():
        if inside.is_file() and not inside.is_symlink():
            _close(inside, _FILE)


def ensure_file(path: Path) -> None:
    """Make the file, empty, or take it from everybody else. Raises OSError when it cannot be
    made."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE))
    except FileExistsError:
        # Not opened: closing it would end the locks that SQLite holds on it in this process.
        _close(path, _FILE)


def write(path: Path, content: bytes) -> None:
    """Replace the file's content. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE)
    with os.fdopen(descriptor, "wb") as file:
        _close(path, _FILE)
        file.write(content)


def _close(path: Path, mode: int) -> None:
    try:
        path.chmod(mode)
    except FileNotFoundError:
        pass  # gone in the meantime
    except PermissionError:
        log.warning("others may read this: change its owner", path=str(path))
