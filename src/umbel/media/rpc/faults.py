"""What can go wrong in the media protocol: Kurento's numbers next to Umbel's five kinds of error.

In: an UmbelError raised while a request is answered. Out: the `error` object of the response; and
on the client's side back again. The only place where JSON-RPC numbers are known.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from umbel.kit.errors import Conflict, Exhausted, Invalid, NotFound, UmbelError, Unavailable

# JSON-RPC 2.0 section 5.1, then Kurento's own (KurentoException).
NUMBERS: Mapping[str, int] = {
    "PARSE_ERROR": -32700,
    "INVALID_REQUEST": -32600,
    "METHOD_UNKNOWN": -32601,
    "INVALID_PARAMS": -32602,
    "INTERNAL_ERROR": -32603,
    "MARSHALL_ERROR": 40001,
    "UNEXPECTED_ERROR": 40003,
    "CONNECT_ERROR": 40004,
    "UNSUPPORTED_MEDIA_TYPE": 40005,
    "NOT_IMPLEMENTED": 40006,
    "INVALID_SESSION": 40007,
    "MALFORMED_TRANSACTION": 40008,
    "NOT_ENOUGH_RESOURCES": 40009,
    "MEDIA_OBJECT_TYPE_NOT_FOUND": 40100,
    "MEDIA_OBJECT_NOT_FOUND": 40101,
    "CONSTRUCTOR_NOT_FOUND": 40104,
    "METHOD_NOT_FOUND": 40105,
    "EVENT_NOT_SUPPORTED": 40106,
    "ILLEGAL_PARAM_ERROR": 40107,
    "NOT_AVAILABLE": 40108,
    "TAG_KEY_NOT_FOUND": 40110,
    "OPERATION_NOT_SUPPORTED": 40111,
}


class Fault(Invalid):
    """A request of the media protocol cannot be answered."""

    code = "umbel.rpc_fault"
    type: ClassVar[str] = "INVALID_REQUEST"


class ParseFailed(Fault):
    """The text is not JSON."""

    code = "umbel.rpc_parse_error"
    type = "PARSE_ERROR"


class RequestInvalid(Fault):
    """The request is not JSON-RPC 2.0: it must be an object with a method and a scalar id, not a
    batch."""

    code = "umbel.rpc_invalid_request"


class MethodUnknown(Fault):
    """Method not found."""

    code = "umbel.rpc_method_unknown"
    type = "METHOD_UNKNOWN"


class ParamsInvalid(Fault):
    """A parameter of the request is missing or of the wrong type."""

    code = "umbel.rpc_invalid_params"
    type = "INVALID_PARAMS"


class SessionUnknown(Fault):
    """There is no such session."""

    code = "umbel.rpc_session_unknown"
    type = "INVALID_SESSION"


class TransactionMalformed(Fault):
    """Operations are numbered from 0 and may only refer to earlier ones."""

    code = "umbel.rpc_transaction_malformed"
    type = "MALFORMED_TRANSACTION"


class TypeUnknown(Fault):
    """There is no element type of that name."""

    code = "umbel.element_type_unknown"
    type = "MEDIA_OBJECT_TYPE_NOT_FOUND"


class ObjectUnknown(NotFound):
    """There is no media object with that id."""

    code = "umbel.media_object_unknown"


class TypeAbstract(Fault):
    """Clients cannot create objects of this type."""

    code = "umbel.element_type_abstract"
    type = "CONSTRUCTOR_NOT_FOUND"


class OperationUnknown(Fault):
    """The element has no such operation."""

    code = "umbel.element_operation_unknown"
    type = "METHOD_NOT_FOUND"


class EventUnknown(Fault):
    """The element has no such event."""

    code = "umbel.element_event_unknown"
    type = "EVENT_NOT_SUPPORTED"


class ParamIllegal(Fault):
    """A parameter of the operation is missing, unknown or of the wrong type."""

    code = "umbel.element_param_illegal"
    type = "ILLEGAL_PARAM_ERROR"


class TagUnknown(Fault):
    """The object has no tag with that key."""

    code = "umbel.media_tag_unknown"
    type = "TAG_KEY_NOT_FOUND"


class OperationUnsupported(Fault):
    """The element cannot do this."""

    code = "umbel.element_operation_unsupported"
    type = "OPERATION_NOT_SUPPORTED"


_CODE = re.compile(r"umbel\.[a-z_.]{1,60}")
_TYPE_OF_KIND: tuple[tuple[type[UmbelError], str], ...] = (
    (NotFound, "MEDIA_OBJECT_NOT_FOUND"),
    (Conflict, "NOT_AVAILABLE"),
    (Exhausted, "NOT_ENOUGH_RESOURCES"),
    (Unavailable, "CONNECT_ERROR"),
    (Invalid, "ILLEGAL_PARAM_ERROR"),
)

_KIND_OF_NUMBER: Mapping[int, type[UmbelError]] = {
    NUMBERS["MEDIA_OBJECT_NOT_FOUND"]: NotFound,
    NUMBERS["NOT_AVAILABLE"]: Conflict,
    NUMBERS["NOT_ENOUGH_RESOURCES"]: Exhausted,
    NUMBERS["CONNECT_ERROR"]: Unavailable,
    NUMBERS["UNEXPECTED_ERROR"]: Unavailable,
    NUMBERS["INTERNAL_ERROR"]: Unavailable,
}


def to_json(error: UmbelError) -> dict[str, object]:
    """The response's `error`: number, message, and in `data` Kurento's name and Umbel's code."""
    name = _name_of(error)
    data = {"type": name, "code": error.code, "details": dict(error.details)}
    return {"code": NUMBERS[name], "message": error.message, "data": data}


def from_json(error: object) -> UmbelError:
    """The error a response carries, as the kind it means to the caller."""
    if not isinstance(error, dict):
        return Unavailable("the media server answered with a damaged error")
    number, message, data = error.get("code"), error.get("message"), error.get("data")
    kind = _KIND_OF_NUMBER.get(number, Invalid) if isinstance(number, int) else Unavailable
    given = data if isinstance(data, dict) else {}
    code, details = given.get("code"), given.get("details")
    if isinstance(code, str) and _CODE.fullmatch(code):
        kind = _remote(kind, code)
    named = {str(k): v for k, v in details.items()} if isinstance(details, dict) else {}
    return kind(str(message), **{k: v for k, v in named.items() if k not in {"self", "message"}})


def _remote(kind: type[UmbelError], code: str) -> type[UmbelError]:
    """A child of the kind with the code it had where it was raised."""
    return type(f"Remote{kind.__name__}", (kind,), {"code": code, "__doc__": kind.__doc__})


def _name_of(error: UmbelError) -> str:
    if isinstance(error, Fault):
        return error.type
    return next((name for kind, name in _TYPE_OF_KIND if isinstance(error, kind)), "INTERNAL_ERROR")
