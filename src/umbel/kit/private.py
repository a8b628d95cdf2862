"""Files and folders for their owner alone, whatever the umask says and whatever was there before.

In: paths. Out: modes 0600 and 0700. What belongs to somebody else stays as it is, with a warning.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    """Replace the file's content as a whole: a reader, a full disk or a kill never leaves half of
    it. Raises OSError; the file is then as it was."""
    with _draft(path, content) as draft:
        draft.replace(path)


def write_once(path: Path, content: bytes) -> bool:
    """Make the file with that content, as a whole and on the disk; False when there is one
    already. Raises OSError; there is then no file."""
    with _draft(path, content, is_synced=True) as draft:
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return False
    return True


@contextmanager
def _draft(path: Path, content: bytes, *, is_synced: bool = False) -> Iterator[Path]:
    """The content in a file of its own next to the path, gone at the end. Process numbers would not
    do for its name: containers that share the folder have the same ones."""
    draft = None
    try:
        try:
            descriptor, name = tempfile.mkstemp(".draft", f".{path.name}.", path.parent)
            draft = Path(name)
            _fill(descriptor, content, is_synced=is_synced)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        yield draft
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)


def _fill(descriptor: int, content: bytes, *, is_synced: bool) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if is_synced:
            file.flush()
            os.fsync(file.fileno())


def _close(path: Path, mode: int) -> None:
    try:
        path.chmod(mode)
    except FileNotFoundError:
        pass  # gone in the meantime
    except PermissionError:
        log.warning("others may read this: change its owner", path=str(path))
