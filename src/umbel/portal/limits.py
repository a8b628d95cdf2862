"""ASGI middleware: no body longer than the limit is read, with or without a declared length.

In: requests. Out: the same requests, or 413 in our error form.
"""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umbel.kit.errors import TooLarge
from umbel.portal import errors


class BodyLimit:
    """Refuses longer bodies at once when the length is given, else where it is passed."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app = app
        self._most = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > self._most:
            await errors.problem(TooLarge(limit_bytes=self._most))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most:
                # FastAPI lets this one type through while it reads a body.
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)
