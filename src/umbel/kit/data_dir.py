"""The platform's data directory: made for its owner alone, and refused while a restore is not
finished.

In: its path. Out: the folder, or an error. Neighbour: `bootstrap.restore`, which sets the mark.
"""

from pathlib import Path

from umbel.kit.errors import Conflict

RESTORE_MARK = ".restoring"
"""A folder of this name in the data directory: a restore runs there, or was interrupted."""


class RestoreUnfinished(Conflict):
    """A restore into this data directory runs, or was interrupted: let it end, or run
    `umbel restore` again."""

    code = "umbel.restore_unfinished"


def ensure(path: Path) -> None:
    """Make the folder. Raises RestoreUnfinished, OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (path / RESTORE_MARK).exists():
        raise RestoreUnfinished(f"a restore into {path} runs, or was interrupted")
