"""JSON-RPC as Open vSwitch's database speaks it: bytes to messages, messages to bytes. Pure.

In: what a socket gave. Out: replies, updates and echoes whose shapes hold what they promise.
Messages follow each other with nothing between them, so a framer counts brackets. replica.py takes
the updates, connection.py the rest. Source: RFC 7047, sections 3, 4 and 5.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from umbel.kit.errors import Unavailable

MOST_BYTES = 16 << 20
"""The longest message that is read."""

_MOST_DEPTH = 32
_BLANK = b" \t\r\n"
_BRACKET = re.compile(rb'["{}\[\]]')
_IN_TEXT = re.compile(rb'["\\]')


class NotOvsdb(Unavailable):
    """The database sent bytes that are not OVSDB."""

    code = "umbel.not_ovsdb"


@dataclass(frozen=True)
class Uuid:
    """A row's name."""

    text: str


Atom = str | int | float | bool | Uuid
Value = Atom | tuple[Atom, ...] | Mapping[Atom, Atom]
"""A column's value. A set with one element comes as the element itself."""

Row = Mapping[str, Value]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The answer to a request. `error` None: it went well."""

    id: int
    result: Any
    error: Any


@dataclass(frozen=True, kw_only=True)
class Echo:
    """A question whether we live, to be given back."""

    id: Any
    params: Any


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A row as it is now; None: it is gone."""

    table: str
    uuid: Uuid
    row: Row | None


@dataclass(frozen=True, kw_only=True)
class Update:
    """What changed in the tables that are monitored."""

    changes: tuple[Changed, ...]


Message = Reply | Echo | Update


@dataclass
class JsonFramer:
    """Cuts a byte stream into JSON objects."""

    most_bytes: int = MOST_BYTES
    _held: bytearray = field(default_factory=bytearray)
    _at: int = 0
    _depth: int = 0
    _in_text: bool = False

    def feed(self, data: bytes) -> Iterator[Mapping[str, Any]]:
        """The objects that are whole now. Raises NotOvsdb; then nothing more can be read."""
        self._held += data
        while end := self._end():
            raw = bytes(self._held[:end])
            del self._held[:end]
            self._at = 0
            yield _object(raw)
        if len(self._held) > self.most_bytes:
            raise NotOvsdb(f"A message has more than {self.most_bytes} bytes")

    def _end(self) -> int:
        """Where the first object ends; 0 when it is not whole yet."""
        if not self._depth:
            self._held = self._held.lstrip(_BLANK)
            if self._held and not self._held.startswith(b"{"):
                raise NotOvsdb
        while found := (_IN_TEXT if self._in_text else _BRACKET).search(self._held, self._at):
            self._at = found.end()
            self._mark(found.group())
            if not self._depth:
                return self._at
        self._at = max(self._at, len(self._held))
        return 0

    def _mark(self, mark: bytes) -> None:
        if mark == b'"':
            self._in_text = not self._in_text
        elif mark == b"\\":
            self._at += 1
        elif mark in b"{[":
            self._depth += 1
            if self._depth > _MOST_DEPTH:
                raise NotOvsdb
        else:
            self._depth -= 1


def parse(message: Mapping[str, Any]) -> Message | None:
    """What an object says; None for what we have not asked for. Raises NotOvsdb."""
    method = message.get("method")
    if method is None:
        return _reply(message)
    if method == "echo":
        return Echo(id=message.get("id"), params=message.get("params"))
    if method == "update":
        params = message.get("params")
        if not isinstance(params, list) or len(params) != 2:
            raise NotOvsdb
        return Update(changes=tuple(changes(params[1])))
    return None


def changes(updates: Any) -> Iterator[Changed]:
    """The rows of table-updates (section 4.1.6), also of a monitor's first answer. Raises
    NotOvsdb."""
    for table, rows in _dict(updates).items():
        for uuid, row in _dict(rows).items():
            new = _dict(row).get("new")
            yield Changed(
                table=table, uuid=Uuid(uuid), row=None if new is None else _row(_dict(new))
            )


def request(number: int, method: str, params: Sequence[Any]) -> bytes:
    """A request that will be answered under its number."""
    return _bytes({"method": method, "params": list(params), "id": number})


def echo_reply(echo: Echo) -> bytes:
    """The answer to a question whether we live."""
    return _bytes({"result": echo.params, "error": None, "id": echo.id})


def encode(value: Value) -> Any:
    """A column's value in the notation of section 5.1."""
    if isinstance(value, Uuid):
        return ["uuid", value.text]
    if isinstance(value, tuple):
        return ["set", [encode(atom) for atom in value]]
    if isinstance(value, Mapping):
        return ["map", [[encode(key), encode(atom)] for key, atom in value.items()]]
    return value


def many(value: Value) -> tuple[Atom, ...]:
    """A set's elements, however it came."""
    if isinstance(value, Mapping):
        return ()
    return value if isinstance(value, tuple) else (value,)


def one(value: Value) -> Atom | None:
    """The element of a set of at most one; None for the empty one."""
    return next(iter(many(value)), None)


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        return _dict(json.loads(raw.decode(), parse_constant=_refuse))
    except (ValueError, RecursionError):
        raise NotOvsdb from None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _reply(message: Mapping[str, Any]) -> Reply | None:
    number = message.get("id")
    if not isinstance(number, int) or "result" not in message:
        raise NotOvsdb
    return Reply(id=number, result=message["result"], error=message.get("error"))


def _row(columns: Mapping[str, Any]) -> Row:
    return {name: _value(value) for name, value in columns.items()}


def _value(value: Any) -> Value:
    if isinstance(value, list) and len(value) == 2 and value[0] in ("set", "map"):
        kind, elements = value
        if not isinstance(elements, list):
            raise NotOvsdb
        if kind == "set":
            return tuple(_atom(element) for element in elements)
        return dict(_pairs(elements))
    return _atom(value)


def _pairs(elements: Iterable[Any]) -> Iterator[tuple[Atom, Atom]]:
    for element in elements:
        if not isinstance(element, list) or len(element) != 2:
            raise NotOvsdb
        yield _atom(element[0]), _atom(element[1])


def _atom(value: Any) -> Atom:
    if isinstance(value, str | int | float):
        return value
    if not isinstance(value, list) or len(value) != 2 or value[0] != "uuid":
        raise NotOvsdb
    if not isinstance(value[1], str):
        raise NotOvsdb
    return Uuid(value[1])


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotOvsdb
    return value


def _bytes(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
