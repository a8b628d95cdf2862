"""Traces as a run reads and writes them: rows in, a catalogue and Requests out, and back. No I/O.

The lines of a trace are `planner.trace`'s, and its names can be had from here too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from umbel.planner.problem import Kind, Resolution
from umbel.planner.trace import (
    HEADER,
    MOST_LINE,
    VERSION,
    BadTrace,
    Begin,
    Closed,
    ContentRow,
    How,
    Opened,
    Row,
    line_of,
    lines_of,
    rows_of,
)
from umbel.simulator.requests import Catalogue, Requests

__all__ = [
    "HEADER",
    "MOST_LINE",
    "VERSION",
    "BadTrace",
    "Begin",
    "Closed",
    "ContentRow",
    "How",
    "Opened",
    "Row",
    "Trace",
    "line_of",
    "lines_of",
    "read",
    "rows_from",
    "rows_of",
]

_KINDS, _RESOLUTIONS = tuple(Kind), tuple(Resolution)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """A trace as a run reads it."""

    catalogue: Catalogue
    requests: Requests


def read(rows: Iterable[Row], ends: Sequence[str]) -> Trace:
    """A trace on a network with these end nodes. Raises BadTrace.

    Time begins with the trace's own 0. Who has not left when the trace ends, stays until then; who
    was refused is taken to want the whole content.
    """
    reader = _Reader(ends)
    for number, row in enumerate(rows, start=1):
        try:
            reader.take(row)
        except ValueError as fault:
            raise BadTrace(f"Row {number}: {fault}", row=number) from None
    return reader.trace()


def rows_from(trace: Trace, ends: Sequence[str]) -> Iterator[Row]:
    """Requests as rows: all contents, then opens and closes in order of time."""
    catalogue, requests = trace.catalogue, trace.requests
    for number, name in enumerate(catalogue.names):
        yield ContentRow(
            name,
            _KINDS[int(catalogue.kind[number])],
            float(catalogue.duration_s[number]),
            int(catalogue.size_bytes[number]),
            bool(catalogue.uhd[number]),
        )
    count = len(requests)
    times = np.concatenate([requests.time_s, requests.until_s])
    # At one time opens go first, so that a session of no length is opened before it is closed.
    for event in np.argsort(times, kind="stable").tolist():
        at = event % count
        if event >= count:
            yield Closed(float(times[event]), str(at))
        else:
            yield Opened(
                float(times[event]),
                str(at),
                ends[int(requests.end[at])],
                catalogue.names[int(requests.content[at])],
                _RESOLUTIONS[int(requests.resolution[at])],
                float(requests.last_hop_mbps[at]),
            )


class _Reader:
    """Puts rows together."""

    def __init__(self, ends: Sequence[str]) -> None:
        self._ends = {end: number for number, end in enumerate(ends)}
        self._contents: dict[str, ContentRow] = {}
        self._numbers: dict[str, int] = {}
        self._opened: list[Opened] = []
        self._until_s: list[float] = []
        self._open: dict[str, int] = {}
        self._now_s = 0.0

    def take(self, row: Row) -> None:
        match row:
            case Begin():
                if self._contents:
                    raise ValueError("begin is not the first row")
            case ContentRow():
                self._content(row)
            case Opened():
                self._at(row.time_s)
                self._open_session(row)
            case Closed():
                self._at(row.time_s)
                self._close_session(row)

    def trace(self) -> Trace:
        for at in self._open.values():
            self._until_s[at] = self._now_s
        rows, resolution = list(self._contents.values()), list(Resolution)
        catalogue = Catalogue(
            names=tuple(row.name for row in rows),
            kind=np.array([_KINDS.index(row.kind) for row in rows], dtype=np.int64),
            duration_s=np.array([row.duration_s for row in rows], dtype=np.float64),
            size_bytes=np.array([row.size_bytes for row in rows], dtype=np.int64),
            uhd=np.array([row.uhd for row in rows], dtype=bool),
        )
        opened = self._opened
        requests = Requests(
            time_s=np.array([row.time_s for row in opened], dtype=np.float64),
            until_s=np.array(self._until_s, dtype=np.float64),
            end=np.array([self._ends[row.end] for row in opened], dtype=np.int64),
            content=np.array([self._numbers[row.content] for row in opened], dtype=np.int64),
            resolution=np.array([resolution.index(r.resolution) for r in opened], dtype=np.int64),
            last_hop_mbps=np.array([row.last_hop_mbps for row in opened], dtype=np.float64),
        )
        return Trace(catalogue=catalogue, requests=requests)

    def _content(self, row: ContentRow) -> None:
        if self._contents.get(row.name, row) != row:
            raise ValueError(f"content {row.name} was another before")
        self._numbers.setdefault(row.name, len(self._contents))
        self._contents[row.name] = row

    def _at(self, time_s: float) -> None:
        if time_s < self._now_s:
            raise ValueError(f"{time_s} s is before {self._now_s} s")
        self._now_s = time_s

    def _open_session(self, row: Opened) -> None:
        if row.session in self._open:
            raise ValueError(f"session {row.session} is open already")
        if row.end not in self._ends:
            raise ValueError(f"{row.end} is no end node")
        if row.content not in self._contents:
            raise ValueError(f"content {row.content} is unknown")
        self._open[row.session] = len(self._opened)
        self._opened.append(row)
        self._until_s.append(row.time_s)

    def _close_session(self, row: Closed) -> None:
        at = self._open.pop(row.session, None)
        if at is None:
            raise ValueError(f"session {row.session} is not open")
        opened = self._opened[at]
        whole_s = self._contents[opened.content].duration_s
        refused = row.how is How.REFUSED
        self._until_s[at] = opened.time_s + whole_s if refused else row.time_s
