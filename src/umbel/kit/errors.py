"""The five kinds of failure, and what each means to a client.

Every domain error derives from exactly one kind. Children are one-liners whose docstring is the
default message and whose `code` never changes. HTTP and JSON-RPC read their numbers here.
"""

import math
from collections.abc import Mapping
from typing import ClassVar


class UmbelError(Exception):
    """Something failed."""

    code: ClassVar[str] = "umbel.error"
    http_status: ClassVar[int] = 500
    retry_after_s: int | None = None

    def __init__(self, message: str = "", **details: object) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.details: Mapping[str, object] = details
        super().__init__(self.message)


class NotFound(UmbelError):
    """The named thing does not exist."""

    code = "umbel.not_found"
    http_status = 404


class Conflict(UmbelError):
    """The request contradicts the current state; read again and retry."""

    code = "umbel.conflict"
    http_status = 409


class Invalid(UmbelError):
    """The request can never succeed as written."""

    code = "umbel.invalid"
    http_status = 400


class Exhausted(UmbelError):
    """No capacity now; it may succeed later."""

    code = "umbel.exhausted"
    http_status = 503
    retry_after_s = 5


class TooSoon(Exhausted):
    """There were many such requests lately: wait, then try again."""

    code = "umbel.too_soon"
    http_status = 429

    def __init__(self, wait_s: float) -> None:
        self.retry_after_s = math.ceil(wait_s)
        super().__init__(wait_s=self.retry_after_s)


class Unavailable(UmbelError):
    """A device, process or peer did not answer as agreed."""

    code = "umbel.unavailable"
    http_status = 503
    retry_after_s = 2


class Unauthenticated(Invalid):
    """The caller is not known: sign in, or send a valid token."""

    code = "umbel.unauthenticated"
    http_status = 401


class Forbidden(Invalid):
    """Your account does not have the right to do this."""

    code = "umbel.forbidden"
    http_status = 403


class Unprocessable(Invalid):
    """A field has a value that cannot be used."""

    code = "umbel.unprocessable"
    http_status = 422


class UnsupportedMediaType(Invalid):
    """The body is not of the media type that this path takes."""

    code = "umbel.unsupported_media_type"
    http_status = 415


class TooLarge(Invalid):
    """The body is larger than this server reads."""

    code = "umbel.too_large"
    http_status = 413
