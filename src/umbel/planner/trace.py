"""Sessions as lines of text: what the live platform writes and a simulated run replays. No I/O:
rows in, lines out, and back. The format is in docs/reference/trace.md.

The reader trusts nothing: whatever the lines are, it gives rows or raises BadTrace.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from umbel.kit.errors import Invalid
from umbel.planner.problem import Kind, Resolution

VERSION = 1
HEADER = f"umbel-trace,{VERSION}"
MOST_LINE = 1000
_NAME = re.compile(r"[^\s,\"\x00-\x1f\x7f]{1,200}")
_NUMBER = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?")
_MOST_BYTES = 1 << 62


class BadTrace(Invalid):
    """The file is not a valid trace."""

    code = "umbel.bad_trace"


class How(StrEnum):
    """Why a session ended."""

    LEFT = "left"
    REFUSED = "refused"  # it was never served; its close is at the time of its open
    LOST = "lost"  # served until something broke


@dataclass(frozen=True, slots=True)
class Begin:
    """The date of time 0, in seconds since 1970. The first row, where there is one."""

    unix_s: float


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


Row = Begin | ContentRow | Opened | Closed


def line_of(row: Row) -> str:
    """A row as a line, without its end. Raises BadTrace where the format has no word for it."""
    match row:
        case Begin():
            return _checked(_joined("begin", row.unix_s), row)
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


def _row(text: str) -> Row:
    """One line. Raises ValueError."""
    if len(text) > MOST_LINE:
        raise ValueError(f"it is longer than {MOST_LINE} characters")
    what, *fields = text.split(",")
    match what, fields:
        case "begin", [unix_s]:
            return Begin(_number(unix_s))
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
