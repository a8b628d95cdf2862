"""Byte ranges and conditions of HTTP (RFC 9110, sections 13 and 14). Pure.

In: headers of a request, and the size, the ETag and the last change of what is asked for. Out: the
spans to send, or what to answer instead. Numbers are bounded: no header makes large ones.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from enum import Enum
from itertools import pairwise

from umbel.kit.errors import Invalid

MOST_RANGES = 32
_LONGEST = 1000
_SPEC = re.compile(r"(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))", re.ASCII)
_CONTENT = re.compile(r"bytes +(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class RangeUnsatisfiable(Invalid):
    """The item has none of the bytes that the header `Range` names, or the header is wrong."""

    code = "umbel.range_unsatisfiable"
    http_status = 416


class BadContentRange(Invalid):
    """The header `Content-Range` is wrong: write `bytes FIRST-LAST/SIZE`, or `*` for the size."""

    code = "umbel.bad_content_range"


class PreconditionFailed(Invalid):
    """The item is not the one that the request's conditions name; read it again."""

    code = "umbel.precondition_failed"
    http_status = 412


class Decision(Enum):
    """What conditions come to: answer as usual, say that nothing changed, or refuse."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not_modified"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Span:
    """Bytes from `start` up to, not including, `end`."""

    start: int
    end: int

    def content_range(self, size: int) -> str:
        """The value of Content-Range."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


@dataclass(frozen=True, kw_only=True)
class ContentRange:
    """Where a piece that is sent belongs; `total` is None where the sender does not know it."""

    start: int
    end: int
    total: int | None


@dataclass(frozen=True, kw_only=True)
class Validators:
    """What tells one state of an item's bytes from others; `changed_s` counts in whole seconds."""

    etag: str
    changed_s: float

    @property
    def last_modified(self) -> str:
        """The value of Last-Modified."""
        return formatdate(int(self.changed_s), usegmt=True)


def parse_range(header: str, size: int) -> Sequence[Span] | None:
    """The spans to send, None for all: also where the unit is not bytes, which RFC 9110 has us
    ignore. Raises RangeUnsatisfiable, also for many or overlapping ranges (section 14.2)."""
    unit, equals, specs = header.strip(" \t").partition("=")
    if not equals or unit.strip(" \t").lower() != "bytes":
        return None
    if len(header) > _LONGEST:
        raise _unsatisfiable(size)
    found = [_span(spec.strip(" \t"), size) for spec in specs.split(",") if spec.strip(" \t")]
    spans = [span for span in found if span is not None]
    if not spans or len(spans) > MOST_RANGES or _overlap(spans):
        raise _unsatisfiable(size)
    return spans


def parse_content_range(header: str) -> ContentRange:
    """Raises BadContentRange."""
    match = _CONTENT.fullmatch(header.strip(" \t"))
    if match is None:
        raise BadContentRange
    start, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    if last < start or (total is not None and last >= total):
        raise BadContentRange
    return ContentRange(start=start, end=last + 1, total=total)


def decide(headers: Mapping[str, str], now: Validators) -> Decision:
    """What the conditions of a GET or HEAD come to, in the order of RFC 9110, section 13.2.2."""
    if (tags := headers.get("if-match")) is not None:
        if not _names(tags, now.etag, is_weak=False):
            return Decision.FAILED
    elif int(now.changed_s) > _seconds(headers.get("if-unmodified-since"), default=1 << 62):
        return Decision.FAILED
    if (tags := headers.get("if-none-match")) is not None:
        return Decision.NOT_MODIFIED if _names(tags, now.etag, is_weak=True) else Decision.PROCEED
    is_same = int(now.changed_s) <= _seconds(headers.get("if-modified-since"), default=-1)
    return Decision.NOT_MODIFIED if is_same else Decision.PROCEED


def applies(if_range: str | None, now: Validators) -> bool:
    """Whether the header Range counts, for what If-Range says (section 13.1.5)."""
    if if_range is None:
        return True
    value = if_range.strip(" \t")
    if value.startswith(('"', "W/")):
        return value == now.etag
    return _seconds(value, default=-1) == int(now.changed_s)


def _span(spec: str, size: int) -> Span | None:
    """The part that is there; None where none is. Raises RangeUnsatisfiable."""
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise _unsatisfiable(size)
    if match[3] is not None:
        start, end = max(size - int(match[3]), 0), size
    else:
        start = int(match[1])
        end = size if match[2] is None else min(int(match[2]) + 1, size)
        if match[2] is not None and int(match[2]) < start:
            raise _unsatisfiable(size)
    return Span(start=start, end=end) if start < end else None


def _overlap(spans: Sequence[Span]) -> bool:
    """Whether some bytes are asked for twice."""
    ordered = sorted(spans, key=lambda span: span.start)
    return any(a.end > b.start for a, b in pairwise(ordered))


def _unsatisfiable(size: int) -> RangeUnsatisfiable:
    return RangeUnsatisfiable(size=size)


def _names(tags: str, etag: str, *, is_weak: bool) -> bool:
    if tags.strip(" \t") == "*":
        return True
    found = _TAG.findall(tags[:_LONGEST])
    return etag in (tag.removeprefix("W/") if is_weak else tag for tag in found)


def _seconds(date: str | None, *, default: int) -> int:
    """Epoch seconds; the default for what is no date of HTTP, which counts as not sent."""
    if date is None or len(date) > 40:
        return default
    try:
        parsed = parsedate_to_datetime(date)
        return int(parsed.timestamp()) if parsed.tzinfo is not None else default
    except (ValueError, OverflowError, TypeError, IndexError, OSError):
        return default
