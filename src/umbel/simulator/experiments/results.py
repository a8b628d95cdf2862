"""A folder of results: task in, what was made of it out. One small JSON file for each, named by
the task's key, so that a run that was killed goes on, and figures share what they share.
"""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from umbel.kit.errors import Unavailable
from umbel.simulator.experiments.tasks import Task, key


class CannotKeep(Unavailable):
    """Umbel cannot write to the folder for results."""

    code = "umbel.cannot_keep_results"


class Results:
    """`folder` is made when the first result is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, task: Task) -> dict[str, Any] | None:
        """What was kept, or None; a file that cannot be read counts as none."""
        try:
            kept = json.loads(self._path(task).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        made = kept.get("made") if isinstance(kept, dict) else None
        return made if isinstance(made, dict) else None

    def keep(self, task: Task, made: dict[str, Any]) -> None:
        """All of it or nothing, whenever it is killed. Raises CannotKeep."""
        text = json.dumps({"task": asdict(task), "made": made}, allow_nan=False)
        write(self._path(task), text.encode())

    def _path(self, task: Task) -> Path:
        return self._folder / f"{key(task)}.json"


def write(path: Path, data: bytes) -> None:
    """A whole file at once, and its folder if need be. Raises CannotKeep."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CannotKeep(f"{path} cannot be written: {error.strerror or error}") from error
