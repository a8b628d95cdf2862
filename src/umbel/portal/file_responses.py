"""A file that is made while it is read, as HTTP answers it: whole, or one range.

In: a file and the request's headers. Out: a response that streams, with its exact length. Several
ranges at once are answered by the whole file, which RFC 9110, section 14.2, allows.
"""

import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping
from urllib.parse import quote

from starlette.responses import Response

from umbel.portal.range_responses import PieceResponse, begun
from umbel.recordings.replays import File
from umbel.repository.ranges import (
    Decision,
    PreconditionFailed,
    Span,
    Validators,
    applies,
    decide,
    parse_range,
)

Read = Callable[[File, int, int], AsyncGenerator[bytes, None]]
_TYPE = "video/mp4"
_LONGEST_NAME = 200


async def respond(file: File, headers: Mapping[str, str], read: Read, *, name: str) -> Response:
    """The answer to a GET. `name` is what browsers store it as, empty to play it. Raises
    PreconditionFailed, RangeUnsatisfiable, and what `read` raises before the first piece."""
    now = Validators(etag=_etag(file), changed_s=file.segments[-1][0].ended_s)
    common = {
        "Accept-Ranges": "bytes",
        "ETag": now.etag,
        "Last-Modified": now.last_modified,
        "Cache-Control": "private, no-cache",
        "Content-Disposition": _disposition(name),
    }
    decision = decide(headers, now)
    if decision is Decision.FAILED:
        raise PreconditionFailed
    if decision is Decision.NOT_MODIFIED:
        return Response(status_code=304, headers=common)
    spans = None
    if "range" in headers and applies(headers.get("if-range"), now):
        spans = parse_range(headers["range"], file.size)
    is_part = spans is not None and len(spans) == 1
    span = spans[0] if spans and is_part else Span(start=0, end=file.size)
    common |= {"Content-Type": _TYPE, "Content-Length": str(span.end - span.start)}
    if is_part:
        common["Content-Range"] = span.content_range(file.size)
    body = await begun(read(file, span.start, span.end))
    return PieceResponse(body, 206 if is_part else 200, common)


def _etag(file: File) -> str:
    named = ";".join(f"{one.item}:{one.offset}:{by_s}" for one, by_s in file.segments)
    return f'"{hashlib.sha256(file.head + named.encode()).hexdigest()[:32]}"'


def _disposition(name: str) -> str:
    """RFC 6266, section 4.3, with the name in UTF-8 (RFC 8187)."""
    clean = "".join(one if one.isprintable() and one not in '/\\"' else "_" for one in name)
    clean = clean.encode(errors="replace").decode()[:_LONGEST_NAME].strip()
    return f"attachment; filename*=UTF-8''{quote(clean, safe='')}" if clean else "inline"
