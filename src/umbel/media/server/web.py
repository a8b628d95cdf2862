"""What every answer over HTTP has in common: open CORS, errors as JSON, bounded bodies.

In: ASGI. Out: ASGI, with `{"code","message","details"}` for whatever went wrong. Only the public
listener uses `Shell`; the control listener has no browsers.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umbel.kit.errors import Invalid, TooLarge, UmbelError, Unauthenticated, UnsupportedMediaType

log = structlog.get_logger(__name__)

MOST_BODY_BYTES = 64 * 1024

_CORS: Mapping[str, str] = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "Location, ETag, Link, Accept-Patch, Retry-After",
}
_PREFLIGHT: Mapping[str, str] = {
    "access-control-allow-methods": "GET, HEAD, POST, PATCH, DELETE, OPTIONS",
    "access-control-allow-headers": "Authorization, Content-Type, If-Match, Range",
    "access-control-max-age": "86400",
}


class SecretWrong(Unauthenticated):
    """The secret of the control channel is wrong."""

    code = "umbel.media_secret_wrong"


class BodyUnreadable(Invalid):
    """The body is not UTF-8 text."""

    code = "umbel.body_unreadable"


class Shell:
    """Around the whole public application: answers OPTIONS, lets every origin in, ends crashes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_open(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(_CORS)
            await send(message)

        if scope["method"] == "OPTIONS":
            await _options(scope["path"])(scope, receive, send_open)
            return
        try:
            await self._app(scope, receive, send_open)
        except Exception:
            # What comes after the stream's name may be a token.
            log.exception("request failed", path="/".join(scope["path"].split("/")[:3]))
            if not started:
                await error_response(UmbelError())(scope, receive, send_open)


def error_response(error: UmbelError) -> Response:
    """The answer to a request that failed."""
    headers = {"cache-control": "no-store"}
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    body = {"code": error.code, "message": error.message, "details": dict(error.details)}
    return JSONResponse(body, error.http_status, headers)


async def on_error(_request: Request, error: Exception) -> Response:
    """Starlette's handler for our errors."""
    return error_response(error if isinstance(error, UmbelError) else UmbelError())


async def on_http_error(_request: Request, error: Exception) -> Response:
    """Starlette's handler for its own: no such path, no such method."""
    if not isinstance(error, HTTPException):
        return error_response(UmbelError())
    name = "umbel.method_not_allowed" if error.status_code == 405 else "umbel.not_found"
    body = {"code": name, "message": error.detail, "details": {}}
    return JSONResponse(body, error.status_code, error.headers)


# Starlette wants Any here.
HANDLERS: Mapping[Any, Any] = {UmbelError: on_error, HTTPException: on_http_error}


async def read_text(request: Request, media_type: str) -> str:
    """The body. Raises UnsupportedMediaType (415), TooLarge (413), BodyUnreadable (400)."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise UnsupportedMediaType(f"send {media_type}", given=given)
    body = await read_body(request, MOST_BODY_BYTES)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BodyUnreadable from error


async def read_body(request: Request, most: int) -> bytes:
    """The body of at most so many bytes. Raises TooLarge (413)."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise TooLarge
    return bytes(body)


def bearer(request: HTTPConnection) -> str:
    """The token of `Authorization: Bearer TOKEN`, or empty."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _options(path: str) -> Response:
    # RFC 9725 section 4.2: what a POST here may carry.
    accept = {"accept-post": "application/sdp"} if path.startswith(("/whip/", "/whep/")) else {}
    return Response(status_code=204, headers={**_PREFLIGHT, **accept})
