"""The one place where a failure becomes HTTP: `{"code", "message", "details"}` and a status.

In: whatever a handler raised. Out: a JSON response. What the client sent is never echoed (it may
hold a password), only the names of the fields that were wrong.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from umbel.kit.errors import (
    Invalid,
    NotFound,
    TooLarge,
    UmbelError,
    Unprocessable,
)

log = structlog.get_logger(__name__)


class NoSuchPath(NotFound):
    """Nothing is at this path."""

    code = "umbel.no_such_path"


class MethodNotAllowed(Invalid):
    """The path does not take this method."""

    code = "umbel.method_not_allowed"
    http_status = 405


_BY_STATUS: Mapping[int, type[UmbelError]] = {
    404: NoSuchPath,
    405: MethodNotAllowed,
    413: TooLarge,
}


def install(app: FastAPI) -> None:
    """Answer every failure of the app in our form."""
    app.add_exception_handler(UmbelError, _umbel)
    app.add_exception_handler(RequestValidationError, _unprocessable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _defect)


def problem(error: UmbelError, headers: Mapping[str, str] | None = None) -> Response:
    """The response for an error, with Retry-After where trying again may help."""
    extra = dict(headers or {})
    if error.retry_after_s is not None:
        extra["Retry-After"] = str(error.retry_after_s)
    if error.http_status == 401:
        extra["WWW-Authenticate"] = "Bearer"
    body = {"code": error.code, "message": error.message, "details": dict(error.details)}
    # ASCII only: a name that was sent to us may hold half a surrogate pair.
    text = json.dumps(body, default=str)
    return Response(text, error.http_status, extra, media_type="application/json")


async def _umbel(_request: Request, error: Exception) -> Response:
    assert isinstance(error, UmbelError)
    return problem(error)


async def _unprocessable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = [_field(one) for one in error.errors()]
    named = ", ".join(dict.fromkeys(str(field["field"]) for field in fields))
    return problem(Unprocessable(f"cannot use: {named}", fields=fields))


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _BY_STATUS.get(error.status_code, Invalid)
    message = "" if error.status_code in _BY_STATUS else str(error.detail)
    return problem(kind(message), error.headers)


async def _defect(request: Request, error: Exception) -> Response:
    log.error("request crashed", path=request.url.path, kind=type(error).__name__)
    return problem(UmbelError("Something failed on our side; it was logged."))


def _field(one: Mapping[str, Any]) -> dict[str, object]:
    return {"field": _dotted(one["loc"]), "message": one["msg"], "type": one["type"]}


def _dotted(location: Sequence[str | int]) -> str:
    # The first part says where: body, path, query. A broken body has no fields to name.
    named = [str(part) for part in location[1:] if isinstance(part, str)]
    return ".".join(named) or str(location[0])
