"""An item's bytes as HTTP answers them: whole, one range, or several as multipart/byteranges.

In: an item as it is to be read, and the request's headers. Out: a response that streams, with its
exact length (RFC 9110, sections 14.3 to 14.6).
"""

import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext

import structlog
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from umbel.kit.errors import UmbelError
from umbel.repository.model import Content
from umbel.repository.ranges import (
    Decision,
    PreconditionFailed,
    RangeUnsatisfiable,
    Span,
    Validators,
    applies,
    decide,
    parse_range,
)

log = structlog.get_logger(__name__)

Read = Callable[[Content, int, int], AsyncGenerator[bytes, None]]
DEFAULT_TYPE = "application/octet-stream"
_SHOWN = ("audio/", "video/", "image/")


class PieceResponse(StreamingResponse):
    """Ends the connection where a piece is missing: the client has the length, and sees it. Takes
    its `slot` until its end."""

    slot: AbstractContextManager[object] = nullcontext()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self.slot:
                await super().__call__(scope, receive, send)
        except UmbelError as error:
            log.warning("transfer broken off", code=error.code, reason=error.message)
            raise ConnectionError(error.message) from error


async def respond(
    content: Content, headers: Mapping[str, str], read: Read, *, has_body: bool
) -> Response:
    """The answer to a GET, or without a body to a HEAD. Raises PreconditionFailed, and what `read`
    raises before the first piece."""
    item = content.item
    now = Validators(etag=content.etag, changed_s=item.changed_s)
    common = _common(content, now)
    decision = decide(headers, now)
    if decision is Decision.FAILED:
        raise PreconditionFailed(item=item.id)
    if decision is Decision.NOT_MODIFIED:
        return Response(status_code=304, headers=common)
    spans = None
    if has_body and "range" in headers and applies(headers.get("if-range"), now):
        spans = parse_range(headers["range"], item.size)
    kind = item.content_type or DEFAULT_TYPE
    if spans is not None and len(spans) > 1:
        return await _several(content, spans, read, common)
    span = spans[0] if spans else Span(start=0, end=item.size)
    status = 200 if spans is None else 206
    common |= {"Content-Type": kind, "Content-Length": str(span.end - span.start)}
    if spans is not None:
        common["Content-Range"] = span.content_range(item.size)
    if not has_body:
        return Response(status_code=status, headers=common)
    body = await begun(read(content, span.start, span.end))
    return PieceResponse(body, status, common)


def unsatisfiable(error: RangeUnsatisfiable) -> Mapping[str, str]:
    """The headers of a 416."""
    return {"Content-Range": f"bytes */{error.details['size']}"}


def _common(content: Content, now: Validators) -> dict[str, str]:
    """Headers of every answer. What somebody uploaded never runs as a page of ours."""
    kind = content.item.content_type or DEFAULT_TYPE
    disposition = "inline" if kind.startswith(_SHOWN) and "svg" not in kind else "attachment"
    return {
        "Accept-Ranges": "bytes",
        "ETag": now.etag,
        "Last-Modified": now.last_modified,
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition,
        "Content-Security-Policy": "sandbox; default-src 'none'; media-src 'self'; img-src 'self'",
    }


async def _several(
    content: Content, spans: Sequence[Span], read: Read, common: dict[str, str]
) -> Response:
    item, boundary = content.item, secrets.token_hex(16)
    kind = item.content_type or DEFAULT_TYPE
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {kind}\r\n"
        f"Content-Range: {span.content_range(item.size)}\r\n\r\n".encode()
        for span in spans
    ]
    tail = f"\r\n--{boundary}--\r\n".encode()
    length = sum(map(len, heads)) + sum(s.end - s.start for s in spans) + len(tail)
    first = await begun(read(content, spans[0].start, spans[0].end))

    async def body() -> AsyncGenerator[bytes, None]:
        for number, (head, span) in enumerate(zip(heads, spans, strict=True)):
            yield head
            pieces = read(content, span.start, span.end) if number else first
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
        yield tail

    common |= {
        "Content-Type": f"multipart/byteranges; boundary={boundary}",
        "Content-Length": str(length),
    }
    return PieceResponse(body(), 206, common)


async def begun(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same pieces; what is wrong from the start is raised here, before any header is sent."""
    first = await anext(pieces, b"")

    async def body() -> AsyncGenerator[bytes, None]:
        async with aclosing(pieces):
            if first:
                yield first
            async for piece in pieces:
                yield piece

    return body()
