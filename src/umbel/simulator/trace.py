"""Sessions as lines of text: what the live platform writes and a run can replay. No I/O: rows in,
lines out, and back; a run's Requests in, rows out, and back. The format is in docs/reference.

The reader trusts nothing: whatever the lines are, it gives rows or raises BadTrace.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from umbel.kit.errors import Invalid
from umbel.planner.problem import Kind, Resolution
from umbel.simulator.requests import Catalogue, Requests

VERSION = 1
HEADER = f"umbel-trace,{VERSION}"
MOST_LINE = 1000
_NAME = re.compile(r"[^\s,\"\x00-\x1f\x7f]{1,200}")
_NUMBER = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?")
_MOST_BYTES = 1 << 62
_KINDS, _RESOLUTIONS = tuple(Kind), tuple(Resolution)


class BadTrace(Invalid):
    """A trace is not in the format."""

    code = "umbel.bad_trace"


class How(StrEnum):
    """Why a session ended."""

    LEFT = "left"
    REFUSED = "refused"  # it was never served; its close is at the time of its open
    LOST = "lost"  # served until something broke


@dataclass(frozen=True, slots=True)
class ContentRow:
    """What can be watched. Goes before its first session."""

    name: str
    kind: Kind
    duration_s: float
    size_bytes: int
    uhd: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A session begins. An unknown last hop is infinite."""

    time_s: float
    session: str
    end: str
    content: str
    resolution: Resolution
    last_hop_mbps: float = math.inf


@dataclass(frozen=True, slots=True)
class Closed:
    """A session ends."""

    time_s: float
    session: str
    how: How = How.LEFT


Row = ContentRow | Opened | Closed


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """A trace as a run reads it."""

    catalogue: Catalogue
    requests: Requests


def line_of(row: Row) -> str:
    """A row as a line, without its end. Raises BadTrace where the format has no word for it."""
    match row:
        case ContentRow():
            fields = ("content", row.name, row.kind.value, row.duration_s, row.size_bytes)
            return _checked(_joined(*fields, int(row.uhd)), row)
        case Opened():
            hop = "" if math.isinf(row.last_hop_mbps) else row.last_hop_mbps
            names = (row.session, row.end, row.content, row.resolution.value)
            return _checked(_joined("open", row.time_s, *names, hop), row)
        case Closed():
            return _checked(_joined("close", row.time_s, row.session, row.how.value), row)


def lines_of(rows: Iterable[Row]) -> Iterator[str]:
    """A whole trace."""
    yield HEADER
    yield from map(line_of, rows)


def rows_of(lines: Iterable[str]) -> Iterator[Row]:
    """The rows of a trace's lines, with or without line ends; empty lines are skipped. Raises
    BadTrace, naming the line."""
    header = False
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        if not text:
            continue
        if not header:
            if text != HEADER:
                raise BadTrace(f"The first line is not {HEADER}", line=number)
            header = True
            continue
        try:
            yield _row(text)
        except ValueError as fault:
            raise BadTrace(f"Line {number}: {fault}", line=number) from None
    if not header:
        raise BadTrace("A trace has at least its first line")


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


def _row(text: str) -> Row:
    """One line. Raises ValueError."""
    if len(text) > MOST_LINE:
        raise ValueError(f"it is longer than {MOST_LINE} characters")
    what, *fields = text.split(",")
    match what, fields:
        case "content", [name, kind, duration_s, size_bytes, uhd]:
            size, flag = _whole(size_bytes), _whole(uhd)
            length_s = _number(duration_s)
            if not 1 <= size <= _MOST_BYTES or flag > 1 or length_s == 0:
                raise ValueError("a size, a duration or the last field is out of range")
            return ContentRow(_name(name), Kind(kind), length_s, size, bool(flag))
        case "open", [time_s, session, end, content, resolution, hop]:
            names = (_name(session), _name(end), _name(content))
            hop_mbps = _number(hop) if hop else math.inf
            return Opened(_number(time_s), *names, Resolution(resolution), hop_mbps)
        case "close", [time_s, session, how]:
            return Closed(_number(time_s), _name(session), How(how))
    raise ValueError("there is no such row")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no name")
    return text


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text) or math.isinf(value := float(text)):
        raise ValueError(f"{text[:40]!r} is no number")
    return value


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ValueError(f"{text[:40]!r} is no whole number")
    return int(text)


def _joined(*fields: object) -> str:
    return ",".join(map(str, fields))


def _checked(line: str, row: Row) -> str:
    """The line, if it reads back as the row."""
    try:
        same = _row(line) == row
    except ValueError as fault:
        raise BadTrace(f"No line says {row}: {fault}") from None
    if not same:
        raise BadTrace(f"No line says {row}")
    return line
