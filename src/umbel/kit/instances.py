"""Which instances of the control plane live on this machine: each holds a lock of its own, which
the kernel takes from a process that ends, however it ends.

In: a folder that the instances share. Out: this instance's name, and the names of those that ended
without tidying up, so that nobody has to wait until their leases run out.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from umbel.kit import private


@contextmanager
def present(folder: Path, name: str) -> Iterator[None]:
    """Show that the instance of this name lives, until the end of the block or of the process.
    Raises OSError."""
    private.ensure_folder(folder)
    # It appears under its name once it is locked: until then others would take it for ended.
    draft, path = folder / f".{name}", folder / name
    with _opened(draft, os.O_CREAT) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        draft.rename(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def ended(folder: Path) -> Iterator[Sequence[str]]:
    """The instances that ended without tidying up, to tidy up after them; they are forgotten at the
    end of the block, unless it raises."""
    with ExitStack() as stack:
        found = [path for path in sorted(folder.glob("[!.]*")) if _is_ended(path, stack)]
        yield [path.name for path in found]
        for path in found:
            path.unlink(missing_ok=True)


def living(folder: Path) -> Sequence[str]:
    """The instances that run now."""
    with ExitStack() as stack:
        return [path.name for path in sorted(folder.glob("[!.]*")) if not _is_ended(path, stack)]


def _is_ended(path: Path, stack: ExitStack) -> bool:
    """Whether its lock can be had; then the stack has it."""
    try:
        descriptor = stack.enter_context(_opened(path))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it lives, or another instance tidies up after it
        return False
    return True


@contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
