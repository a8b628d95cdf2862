"""ASGI middleware: no body longer than the limit is read, with or without a declared length.

In: requests. Out: the same requests, or 413 in our error form.
"""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umbel.kit.errors import TooLarge
from umbel.portal import errors


class BodyLimit:
    """Refuses longer bodies at once when the length is given, else where it is passed. Paths of
    `larger` have limits of their own; bodies of `streams` are not read into memory, and their
    handlers bound them."""

    def __init__(
        self,
        app: ASGIApp,
        most_bytes: int,
        larger: Sequence[tuple[re.Pattern[str], int]] = (),
        streams: re.Pattern[str] | None = None,
    ) -> None:
        self._app = app
        self._most = most_bytes
        self._larger = larger
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_stream(scope["path"]):
            await self._app(scope, receive, send)
            return
        own = (most for paths, most in self._larger if paths.fullmatch(scope["path"]))
        most = max(self._most, next(own, 0))
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > most:
            await errors.problem(TooLarge(limit_bytes=most))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                # FastAPI lets this one type through while it reads a body.
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)

    def _is_stream(self, path: str) -> bool:
        return self._streams is not None and self._streams.fullmatch(path) is not None
