"""The file that sessions are traced to: rows in, appended lines out, and the rows of before back.

It is opened for each batch of rows: when it is moved away, the next batch makes a new one. A
line that was cut off when the machine died is dropped. Neighbours: `follow`, `planner.trace`.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from umbel.planner import trace
from umbel.planner.trace import Row


class TraceFile:
    """One trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[Row]:
        """What is there; nothing where there is no file. Raises BadTrace, OSError."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return []
        whole = raw[: raw.rfind(b"\n") + 1]
        if not raw.startswith(trace.HEADER.encode()[: len(raw)]):
            raise trace.BadTrace(f"{self.path} is there and is no trace", path=str(self.path))
        found = list(trace.rows_of(whole.decode(errors="replace").split("\n"))) if whole else []
        if len(whole) < len(raw):
            os.truncate(self.path, len(whole))
        return found

    def is_there(self) -> bool:
        """Whether there is something to go on from."""
        return self.path.exists() and self.path.stat().st_size > 0

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows; a new file begins with the header. Raises BadTrace, OSError."""
        text = "".join(f"{trace.line_of(row)}\n" for row in rows)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if os.fstat(descriptor).st_size == 0:
                file.write(f"{trace.HEADER}\n")
            file.write(text)
