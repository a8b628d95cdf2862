"""A resource's routes, complete where they are declared, and the errors that any of them may give.

In: a prefix and tags. Out: an APIRouter whose routes an app takes as they are; `described` adds
the shape of errors to the app's OpenAPI document.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from umbel.portal.api.shapes import Problem

_TEXTS: Mapping[int, str] = {
    400: "The request can never succeed as written",
    401: "Sign in, or send a valid token",
    403: "You may not do this",
    404: "There is no such thing",
    405: "The path does not take this method",
    409: "It contradicts the current state",
    413: "The body is too large",
    415: "The body is not of the media type read here",
    422: "A field has a value that cannot be used",
    429: "Too many attempts; Retry-After tells when to try again",
    503: "Not now; Retry-After tells when to try again",
}
_SCHEMA = {"$ref": f"#/components/schemas/{Problem.__name__}"}
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": _SCHEMA}}}
    for status, text in _TEXTS.items()
}


class Resource(APIRouter):
    """What FastAPI's `include_router` would add to each route is here from the start. It would make
    every route again for each app, before its first answer, and a validator for each error of each
    route: 5 ms of CPU a route."""

    def __init__(self, **options: Any) -> None:
        super().__init__(responses=_ERRORS, generate_unique_id_function=_name, **options)


def describe(app: FastAPI) -> None:
    """Have `app.openapi` describe errors, which no route names as a model of its own."""
    generate = app.openapi

    def described() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault(Problem.__name__, Problem.model_json_schema())
        return document

    app.openapi = described  # type: ignore[method-assign]


def _name(route: APIRoute) -> str:
    return route.name
