"""What every answer of the public listener has in common: open CORS, an end for crashes.

In: ASGI. Out: ASGI, with `{"code","message","details"}` for whatever went wrong. The control
listener has no browsers. Neighbour: kit/web.py has what both share.
"""

from collections.abc import Mapping

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umbel.kit.errors import Invalid, UmbelError, Unauthenticated, UnsupportedMediaType
from umbel.kit.web import error_response, read_body

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


def _options(path: str) -> Response:
    # RFC 9725 section 4.2: what a POST here may carry.
    accept = {"accept-post": "application/sdp"} if path.startswith(("/whip/", "/whep/")) else {}
    return Response(status_code=204, headers={**_PREFLIGHT, **accept})
