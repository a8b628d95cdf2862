"""The calls of a VIM and their answers, a JSON object a line. Pure.

In and out: lines of bytes with at most LONGEST_LINE bytes. A call has an id, its answer has the
same; `Changed` comes by itself. What cannot be read raises BadMessage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from umbel.compute.model import Function, HostUsage, Instance, Node
from umbel.compute.ports import CannotRun, FunctionTaken, MachineFull
from umbel.kit.errors import Conflict, Exhausted, Invalid, NotFound, UmbelError, Unavailable

LONGEST_LINE = 4 * 1024 * 1024


class BadMessage(Unavailable):
    """The other end of a machine's session sends what cannot be read."""

    code = "umbel.bad_machine_message"


@dataclass(frozen=True, kw_only=True)
class Start:
    """`Vim.start`."""

    id: int
    owner: str
    function: Function = field(repr=False)
    node: Node
    call: Literal["start"] = "start"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """`Vim.stop`."""

    id: int
    function_id: str
    call: Literal["stop"] = "stop"


@dataclass(frozen=True, kw_only=True)
class Running:
    """`Vim.running`, answered by Seen."""

    id: int
    call: Literal["running"] = "running"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """`MeasuresHosts.hosts`, answered by Measured."""

    id: int
    nodes: tuple[Node, ...]
    call: Literal["measure"] = "measure"


@dataclass(frozen=True, kw_only=True)
class Done:
    """The call is done."""

    id: int
    answer: Literal["done"] = "done"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Every function by id."""

    id: int
    instances: Mapping[str, Instance]
    answer: Literal["seen"] = "seen"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the machine uses, by node."""

    id: int
    usage: Mapping[str, HostUsage]
    answer: Literal["measured"] = "measured"


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The call failed; `kind` is one of the five kinds of error."""

    id: int
    kind: Literal["NotFound", "Conflict", "Invalid", "Exhausted", "Unavailable"]
    code: str
    message: str
    details: Mapping[str, str] = field(default_factory=dict)
    answer: Literal["failed"] = "failed"


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A function became ready, failed or vanished."""

    function_id: str
    answer: Literal["changed"] = "changed"


Call = Start | Stop | Running | Measure
Answer = Done | Seen | Measured | Failed | Changed

_CALL: TypeAdapter[Call] = TypeAdapter(Annotated[Call, Field(discriminator="call")])
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="answer")])
_KINDS = {kind.__name__: kind for kind in (NotFound, Conflict, Invalid, Exhausted, Unavailable)}
_BY_CODE: Mapping[str, type[UmbelError]] = {
    one.code: one for one in (FunctionTaken, CannotRun, MachineFull)
}


def serialize(message: Call | Answer) -> bytes:
    """The message as a line."""
    adapter: TypeAdapter[Call] | TypeAdapter[Answer]
    adapter = _CALL if isinstance(message, Call) else _ANSWER
    return adapter.dump_json(message) + b"\n"  # type: ignore[arg-type]


def parse_call(line: bytes) -> Call:
    """The call in a line. Raises BadMessage."""
    try:
        return _CALL.validate_json(line)
    except ValueError as error:
        raise BadMessage(_unreadable(line)) from error


def parse_answer(line: bytes) -> Answer:
    """The answer in a line. Raises BadMessage."""
    try:
        return _ANSWER.validate_json(line)
    except ValueError as error:
        raise BadMessage(_unreadable(line)) from error


def failure(call_id: int, error: UmbelError) -> Failed:
    """How a call failed."""
    kind = next(name for name, one in _KINDS.items() if isinstance(error, one))
    return Failed(
        id=call_id,
        kind=kind,  # type: ignore[arg-type]
        code=error.code,
        message=error.message,
        details={str(k): str(v) for k, v in error.details.items()},
    )


def error_of(failed: Failed) -> UmbelError:
    """The error to raise where the call was made."""
    return _BY_CODE.get(failed.code, _KINDS[failed.kind])(failed.message, **failed.details)


def _unreadable(line: bytes) -> str:
    # What is in a line may be secret: no more than its beginning is shown.
    return f"A machine's session said {line[:40]!r}, {len(line)} bytes"
