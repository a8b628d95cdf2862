"""What a switch's database may send, and what becomes of it."""

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.ovsdb_wirings import SITE, wiring
from umbel.network.drivers.ovsdb import edits, wire
from umbel.network.drivers.ovsdb.layout import layout
from umbel.network.drivers.ovsdb.replica import Replica
from umbel.network.drivers.ovsdb.wire import Echo, JsonFramer, NotOvsdb, Reply, Update

UPDATE = {
    "method": "update",
    "params": [
        None,
        {
            "Bridge": {
                "u1": {
                    "new": {
                        "name": 'br\u00fc {[\\"',
                        "ports": ["set", [["uuid", "p1"], ["uuid", "p2"]]],
                        "other_config": ["map", [["a", "1"]]],
                        "controller": ["uuid", "c1"],
                    }
                },
                "u2": {"old": {"name": "gone"}},
            }
        },
    ],
    "id": None,
}
MESSAGES: list[dict[str, Any]] = [
    UPDATE,
    {"id": 3, "result": [{}, {"error": "no", "details": "why"}], "error": None},
    {"id": "echo", "method": "echo", "params": []},
    {"id": 1, "result": UPDATE["params"][1], "error": None},  # type: ignore[index]
    {"id": None, "method": "locked", "params": []},
]


def read(data: bytes, cuts: list[int]) -> list[Any]:
    """What comes of bytes that arrive in pieces."""
    framer, replica, found = JsonFramer(), Replica(), []
    ends = sorted({*(cut % (len(data) + 1) for cut in cuts), len(data)})
    for start, end in zip([0, *ends], ends, strict=False):
        for message in framer.feed(data[start:end]):
            parsed = wire.parse(message)
            if isinstance(parsed, Update):
                replica.apply(parsed.changes)
            elif isinstance(parsed, Reply):
                with contextlib.suppress(NotOvsdb):
                    replica.apply(wire.changes(parsed.result))
            found.append(parsed)
    survey(replica)
    return found


def outcome(data: bytes, cuts: list[int]) -> str:
    """As text, because NaN is not equal to itself."""
    try:
        return repr(read(data, cuts))
    except NotOvsdb:
        return "garbage"


def survey(replica: Replica) -> None:
    """All that is ever asked of a replica."""
    replica.caught_up()
    operations = edits.edits(replica, layout(SITE, wiring("c1")))
    edits.removal(replica, "pe1", ["br0", "br1"])
    edits.missing(replica, layout(SITE, wiring("c1")))
    json.dumps(operations)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_any_bytes_are_read_or_garbage(data: bytes, cuts: list[int]) -> None:
    """What is read does not depend on where the bytes were cut."""
    assert outcome(b"{" + data, cuts) == outcome(b"{" + data, [])


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["a", "br1"])
TAGGED = st.tuples(st.sampled_from(["set", "map", "uuid"]), SCALARS | st.lists(SCALARS, max_size=2))
CELLS = (
    SCALARS
    | TAGGED.map(list)
    | st.sampled_from([["uuid", "a"], ["set", [["uuid", "b"]]], ["map", [["a", "b"]]], {}])
)
COLUMNS = ["name", "ports", "interfaces", "bridges", "ofport", "next_cfg", "options"]
ROWS = st.dictionaries(st.sampled_from(COLUMNS), CELLS, max_size=4)
TABLES = st.dictionaries(
    st.sampled_from(["Bridge", "Port", "Interface", "Controller", "Open_vSwitch"]),
    st.dictionaries(
        st.sampled_from(["a", "b"]), st.fixed_dictionaries({"new": ROWS | SCALARS}), max_size=2
    ),
    max_size=4,
)


def meant(cell: Any) -> Any:
    """What a column's value means by RFC 7047, section 5.1. Raises ValueError."""
    match cell:
        case str() | bool() | int():
            return cell
        case float() if math.isfinite(cell):
            return cell
        case ["uuid", str(name)]:
            return wire.Uuid(name)
        case ["set", [*elements]] if not any(is_composite(one) for one in elements):
            return tuple(meant(one) for one in elements)
        case ["map", [*pairs]] if all(isinstance(one, list) and len(one) == 2 for one in pairs):
            if not any(is_composite(one) for pair in pairs for one in pair):
                return {meant(key): meant(value) for key, value in pairs}
    raise ValueError(cell)


def is_composite(cell: Any) -> bool:
    return isinstance(cell, list) and cell[:1] != ["uuid"]


def rows_of(tables: Any) -> dict[str, dict[wire.Uuid, Any]]:
    """The rows that an update to an empty replica leaves there. Raises ValueError."""
    found: dict[str, dict[wire.Uuid, Any]] = {}
    for table, rows in tables.items():
        for uuid, row in rows.items():
            new = row["new"]
            if new is None:
                continue
            columns = new if isinstance(new, dict) else {"": None}
            cells = {column: meant(cell) for column, cell in columns.items()}
            found.setdefault(table, {})[wire.Uuid(uuid)] = cells
    return found


@given(TABLES)
@example({"Bridge": {"a": {"new": {"ports": ["set", [["set", []]]]}}}})
@example({"Bridge": {"a": {"new": {"options": ["map", [["a", "b"], ["a"]]]}}}})
@example({"Bridge": {"a": {"new": {"options": ["map", [["a", ["uuid", "b"]]]]}}}})
@example({"Bridge": {"a": {"new": {"ports": ["set", [["uuid", "b"], "c"]]}}}})
@example({"Port": {"a": {"new": {"name": ["uuid", 7]}}}})
@example({"Port": {"a": {"new": {"name": float("inf")}}}})
def test_rows_are_kept_as_the_standard_says_or_garbage(tables: Any) -> None:
    data = json.dumps({"method": "update", "params": [None, tables]}).encode()
    try:
        expected = rows_of(tables)
    except ValueError:
        with pytest.raises(NotOvsdb):
            read(data, [])
        return
    (update,) = read(data, [])
    replica = Replica()
    replica.apply(update.changes)
    assert {t: replica.rows(t) for t in tables if replica.rows(t)} == expected


@given(
    st.sampled_from(MESSAGES),
    st.lists(st.tuples(st.integers(0, 500), st.binary(max_size=3)), max_size=3),
    st.lists(st.integers(0, 500), max_size=4),
)
def test_mutated_messages_are_read_or_garbage(
    message: dict[str, Any], wounds: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    data = json.dumps(message).encode()
    for at, new in wounds:
        data = data[: at % len(data)] + new + data[at % len(data) + 1 :]
    assert outcome(data, cuts) == outcome(data, [])


@given(st.lists(st.sampled_from(MESSAGES), max_size=4), st.lists(st.integers(0, 2000), max_size=8))
def test_messages_are_the_same_however_they_are_cut(
    messages: list[dict[str, Any]], cuts: list[int]
) -> None:
    whole = b" \n".join(json.dumps(message, ensure_ascii=False).encode() for message in messages)
    found = read(whole, cuts)
    assert found == [wire.parse(message) for message in messages]


def test_what_messages_say() -> None:
    update, reply, echo, _, unasked = (wire.parse(message) for message in MESSAGES)
    assert isinstance(update, Update)
    new, gone = update.changes
    assert new.row == {
        "name": 'br\u00fc {[\\"',
        "ports": (wire.Uuid("p1"), wire.Uuid("p2")),
        "other_config": {"a": "1"},
        "controller": wire.Uuid("c1"),
    }
    assert gone.row is None
    assert isinstance(reply, Reply)
    assert reply.id == 3
    assert isinstance(echo, Echo)
    assert json.loads(wire.echo_reply(echo)) == {"id": "echo", "result": [], "error": None}
    assert unasked is None


@pytest.mark.parametrize(
    "data",
    [b"x", b"[]", b"{]", b"{NaN}", b'{"a":NaN}', b"{" * 40, b'{"a":' + b"9" * 5000 + b"}", b"\xff"],
)
def test_garbage(data: bytes) -> None:
    with pytest.raises(NotOvsdb):
        read(data, [])


def test_a_message_that_never_ends_is_garbage() -> None:
    framer = JsonFramer(most_bytes=1000)
    assert list(framer.feed(b'{"a":"' + b"x" * 900)) == []
    with pytest.raises(NotOvsdb):
        list(framer.feed(b"x" * 200))
