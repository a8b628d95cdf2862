"""JSON-RPC 2.0 texts (jsonrpc.org/specification): text in, messages out, and back.

Batches are refused, as Kurento does. Used by both ends: sessions.py and requester.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from umbel.kit.errors import UmbelError
from umbel.media.rpc import faults
from umbel.media.rpc.faults import ParamsInvalid, ParseFailed, RequestInvalid

Id = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request, or a notification when `wants_answer` is false."""

    method: str
    params: Mapping[str, object]
    id: Id = None
    wants_answer: bool = True


@dataclass(frozen=True, kw_only=True)
class Response:
    """A result, or an error when there is one."""

    id: Id
    result: object = None
    error: UmbelError | None = None


def parse_request(text: str | bytes) -> Request:
    """Read a request. Raises ParseFailed, RequestInvalid or ParamsInvalid."""
    body = _parse_object(text)
    method, id_ = body.get("method"), _read_id(body)
    if body.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise RequestInvalid
    params = body.get("params", {})
    if not isinstance(params, dict):
        raise ParamsInvalid("'params' must be an object")
    return Request(method=method, params=params, id=id_, wants_answer="id" in body)


def parse_message(text: str | bytes) -> Request | Response:
    """Read what a server sends: a response, or a notification. Raises as parse_request does."""
    body = _parse_object(text)
    if "method" in body:
        return parse_request(text)
    id_ = _read_id(body)
    if ("result" in body) == ("error" in body):
        raise RequestInvalid("neither a result nor an error")
    if "error" in body:
        return Response(id=id_, error=faults.from_json(body["error"]))
    return Response(id=id_, result=body["result"])


def id_of(text: str | bytes) -> Id:
    """The id of a text that may be anything: to answer what could not be read."""
    try:
        return _read_id(_parse_object(text))
    except faults.Fault:
        return None


def request_text(method: str, params: Mapping[str, object], id_: Id) -> str:
    """A request's text."""
    return _dump({"jsonrpc": "2.0", "id": id_, "method": method, "params": dict(params)})


def notification_text(method: str, params: Mapping[str, object]) -> str:
    """A notification's text."""
    return _dump({"jsonrpc": "2.0", "method": method, "params": dict(params)})


def response(id_: Id, outcome: object) -> dict[str, object]:
    """A response; an UmbelError as `outcome` makes it an error."""
    if isinstance(outcome, UmbelError):
        return {"id": id_, "jsonrpc": "2.0", "error": faults.to_json(outcome)}
    return {"id": id_, "jsonrpc": "2.0", "result": outcome}


def response_text(id_: Id, outcome: object) -> str:
    """A response's text."""
    return _dump(response(id_, outcome))


def _dump(body: Mapping[str, object]) -> str:
    return json.dumps(body, separators=(",", ":"), default=str)


def _parse_object(text: str | bytes) -> dict[str, object]:
    try:
        body = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ParseFailed from error
    if not isinstance(body, dict):
        raise RequestInvalid
    return body


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


def _read_id(body: Mapping[str, object]) -> Id:
    value = body.get("id")
    # 1e999 reads as infinity, which no JSON text can say back.
    if isinstance(value, float) and not isfinite(value):
        raise RequestInvalid
    if value is not None and not isinstance(value, str | int | float):
        raise RequestInvalid
    return value
