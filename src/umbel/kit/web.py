"""What functions' HTTP has in common: errors as JSON, bearer tokens, bounded bodies.

In: requests of Starlette. Out: their token and body; `{"code","message","details"}` for whatever
went wrong.
"""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from umbel.kit.errors import TooLarge, UmbelError


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
