"""A switch's database: what it may send, what becomes of it, and the one transaction."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.ovsdb_stand_in import Database, Server
from support.waiting import until
from umbel.kit.errors import Unavailable
from umbel.network.drivers.ovsdb import edits, wire
from umbel.network.drivers.ovsdb.bridges import OvsdbBridges
from umbel.network.drivers.ovsdb.connection import (
    BadTarget,
    Connection,
    OvsdbGone,
    OvsdbRefused,
    Patience,
    ended,
)
from umbel.network.drivers.ovsdb.layout import BadWiring, layout, tunnel_name
from umbel.network.drivers.ovsdb.replica import Replica
from umbel.network.drivers.ovsdb.wire import Echo, Framer, Garbage, Reply, Update
from umbel.network.sites import Plugs, Site, Tunnel, TunnelKind, Wiring, device_name

SITE = Site(
    node="pe1",
    ovsdb="tcp:127.0.0.1:1",
    datapath_id=0x756D62000001,
    underlay={"c1": "10.201.0.1", "c2": "10.201.0.5"},
    gateway="10.202.1.1/24",
    nic="eth0",
    hosts=("h1",),
    cables={"c1": "l-c1"},
)
IMPATIENT = Patience(answer_s=2.0, echo_s=0.05, first_s=0.01, most_s=0.05)
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


def tunnel(neighbour: str, **columns: Any) -> Tunnel:
    local = SITE.underlay.get(neighbour, "10.201.0.9")
    return Tunnel(neighbour=neighbour, local=local, remote="10.201.0.2", key=7, **columns)


def wiring(*neighbours: str) -> Wiring:
    return Wiring(controller="tcp:10.99.0.1:6653", tunnels=tuple(tunnel(n) for n in neighbours))


def read(data: bytes, cuts: list[int]) -> list[Any]:
    """What comes of bytes that arrive in pieces."""
    framer, replica, found = Framer(), Replica(), []
    ends = sorted({*(cut % (len(data) + 1) for cut in cuts), len(data)})
    for start, end in zip([0, *ends], ends, strict=False):
        for message in framer.feed(data[start:end]):
            parsed = wire.parse(message)
            if isinstance(parsed, Update):
                replica.take(parsed.changes)
            elif isinstance(parsed, Reply):
                with contextlib.suppress(Garbage):
                    replica.take(wire.changes(parsed.result))
            found.append(parsed)
    survey(replica)
    return found


def survey(replica: Replica) -> None:
    """All that is ever asked of a replica."""
    replica.caught_up()
    operations = edits.edits(replica, layout(SITE, wiring("c1")))
    edits.removal(replica, "pe1", ["br0", "br1"])
    edits.missing(replica, layout(SITE, wiring("c1")))
    json.dumps(operations)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4))
def test_any_bytes_are_read_or_garbage(data: bytes, cuts: list[int]) -> None:
    with contextlib.suppress(Garbage):
        read(b"{" + data, cuts)


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


@given(TABLES)
def test_any_rows_are_kept_or_garbage(tables: Any) -> None:
    message = {"method": "update", "params": [None, tables]}
    with contextlib.suppress(Garbage):
        read(json.dumps(message).encode(), [])


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
    with contextlib.suppress(Garbage):
        read(data, cuts)


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
    with pytest.raises(Garbage):
        read(data, [])


def test_a_message_that_never_ends_is_garbage() -> None:
    framer = Framer(most_bytes=1000)
    assert list(framer.feed(b'{"a":"' + b"x" * 900)) == []
    with pytest.raises(Garbage):
        list(framer.feed(b"x" * 200))


NEIGHBOURS = st.lists(st.sampled_from(["c1", "c2", "c3", "c4"]), unique=True)


@given(st.lists(NEIGHBOURS, min_size=1, max_size=5))
def test_one_transaction_and_then_nothing(wirings: list[list[str]]) -> None:
    database = Database()
    ports: dict[str, int] = {}
    for neighbours in wirings:
        wanted = layout(SITE, wiring(*neighbours))
        operations = edits.edits(database.replica(), wanted)
        assert "error" not in str(database.transact(operations))
        database.serve()
        assert edits.missing(database.replica(), wanted) == {}
        assert edits.edits(database.replica(), wanted) == []
        now = {n: database.row("Interface", tunnel_name(tunnel(n)))["ofport"] for n in neighbours}
        kept = ports.keys() & now.keys()
        assert {n: ports[n] for n in kept} == {n: now[n] for n in kept}
        ports = now
        assert database.names("Port") == {
            *("br0", "eth0", "h1", "br0-br1", "br1", "br1-br0", "ov0"),
            *(device_name("u", "c1"), "l-c1"),
            *(tunnel_name(tunnel(name)) for name in neighbours),
        }


def made(*neighbours: str) -> Database:
    database = Database()
    database.transact(edits.edits(database.replica(), layout(SITE, wiring(*neighbours))))
    database.serve()
    return database


def test_what_is_made() -> None:
    database = made("c1")
    overlay = database.row("Bridge", "br1")
    assert overlay["fail_mode"] == "secure"
    assert overlay["datapath_type"] == "netdev"
    assert sorted(overlay["protocols"][1]) == ["OpenFlow13", "OpenFlow14"]
    assert ["datapath-id", "0000756d62000001"] in overlay["other_config"][1]
    assert ["disable-in-band", "true"] in overlay["other_config"][1]
    assert list(database.tables["Controller"].values()) == [
        {
            "target": "tcp:10.99.0.1:6653",
            "max_backoff": 1000,
            "connection_mode": "out-of-band",
        }
    ]
    interface = database.row("Interface", tunnel_name(tunnel("c1")))
    assert interface["type"] == "gre"
    assert dict(interface["options"][1]) == {
        "local_ip": "10.201.0.1",
        "remote_ip": "10.201.0.2",
        "key": "7",
        "tos": "inherit",
    }
    assert dict(interface["bfd"][1]) == {"enable": "true", "min_tx": "100", "min_rx": "100"}
    assert database.row("Interface", "ov0")["mac"] == "02:6d:62:00:00:01"


def test_tunnels_change_without_a_word_to_the_controller() -> None:
    database = made("c1")
    wanted = Wiring(
        controller="tcp:10.99.0.1:6653",
        tunnels=(tunnel("c1", bfd_ms=20, kind=TunnelKind.VXLAN), tunnel("c2")),
    )
    operations = edits.edits(database.replica(), layout(SITE, wanted))
    assert {operation["table"] for operation in operations} == {
        "Interface",
        "Port",
        "Bridge",
        "Open_vSwitch",
    }
    assert "ontroller" not in json.dumps(operations)


def test_a_controller_that_moves_keeps_its_row() -> None:
    database = made("c1")
    before = set(database.tables["Controller"])
    wanted = replace(wiring("c1"), controller="tcp:10.99.0.1:7000")
    database.transact(edits.edits(database.replica(), layout(SITE, wanted)))
    ((uuid, row),) = database.tables["Controller"].items()
    assert {uuid} == before
    assert row["target"] == "tcp:10.99.0.1:7000"


def test_what_others_made_outside_stays_and_in_the_overlay_goes() -> None:
    database = made("c1")
    for bridge in ("br0", "br1"):
        uuid = next(u for u, r in database.tables["Bridge"].items() if r["name"] == bridge)
        name = f"alien-{bridge}"
        database.transact(
            [
                {"op": "insert", "table": "Interface", "uuid-name": "i", "row": {"name": name}},
                {
                    "op": "insert",
                    "table": "Port",
                    "uuid-name": "p",
                    "row": {"name": name, "interfaces": ["named-uuid", "i"]},
                },
                {
                    "op": "mutate",
                    "table": "Bridge",
                    "where": [["_uuid", "==", ["uuid", uuid]]],
                    "mutations": [["ports", "insert", ["named-uuid", "p"]]],
                },
            ]
        )
    fewer = replace(SITE, hosts=(), cables={})
    database.transact(edits.edits(database.replica(), layout(fewer, wiring("c1"))))
    assert {"alien-br0", "eth0"} <= database.names("Port")
    assert not {"alien-br1", "h1", "l-c1"} & database.names("Port")
    assert database.names("Bridge") == {"br0", "br1"}
    database.transact(edits.removal(database.replica(), "pe1", ["br0", "br1"]))
    assert database.tables["Interface"] == {}
    assert edits.removal(database.replica(), "pe1", ["br0", "br1"]) == []


def test_two_tunnels_to_one_neighbour_are_refused() -> None:
    with pytest.raises(BadWiring, match="c1"):
        layout(SITE, wiring("c1", "c1"))


@given(st.lists(st.text(max_size=30), min_size=1, max_size=3))
def test_names_fit_into_the_kernel(names: list[str]) -> None:
    name = device_name("t", *names)
    assert name == device_name("t", *names)
    assert name.isascii()
    assert len(name) <= 15
    assert name != device_name("t", *names[:-1], names[-1] + "x")


@pytest.mark.parametrize("target", ["", "tcp:", "tcp:1.2.3.4", "tcp:h:99999", "ssl:h:1", "unix:"])
def test_a_bad_target_is_named(target: str) -> None:
    with pytest.raises(BadTarget) as caught:
        Connection(target, IMPATIENT)
    assert caught.value.details == {"target": target}


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Site]]:
    running = Server(Database())
    port = await running.start()
    yield running, replace(SITE, ovsdb=f"tcp:127.0.0.1:{port}")
    await running.stop()


class Listed:
    """Remembers what hosts were set up."""

    def __init__(self) -> None:
        self.calls: list[tuple[Site, Plugs]] = []

    async def configure(self, site: Site, plugs: Plugs) -> None:
        self.calls.append((site, plugs))


@pytest.fixture
async def host() -> Listed:
    return Listed()


@pytest.fixture
async def bridges(host: Listed) -> AsyncIterator[OvsdbBridges]:
    made = OvsdbBridges(host, settle_s=5.0, patience=IMPATIENT)
    yield made
    await made.close()


async def when(condition: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return condition()

    await until(ask)


async def test_twice_is_one_transaction(
    server: tuple[Server, Site], bridges: OvsdbBridges, host: Listed
) -> None:
    running, site = server
    plugs = await bridges.ensure(site, wiring("c1"))
    assert await bridges.ensure(site, wiring("c1")) == plugs
    assert len(running.database.log) == 1
    assert host.calls == [(site, plugs)]


async def test_the_host_is_set_up_again_when_vswitchd_comes_back(
    server: tuple[Server, Site], bridges: OvsdbBridges, host: Listed
) -> None:
    running, site = server
    await bridges.ensure(site, wiring("c1"))
    running.database.restart()
    running.changed()
    await when(lambda: len(host.calls) == 2)
    assert len(running.database.log) == 1


async def test_a_lost_database_is_found_again(
    server: tuple[Server, Site], bridges: OvsdbBridges
) -> None:
    running, site = server
    plugs = await bridges.ensure(site, wiring("c1"))
    port = int(site.ovsdb.rpartition(":")[2])
    await running.stop()
    await when(lambda: not running.sessions)
    await running.start(port)
    assert (await bridges.ensure(site, wiring("c1", "c2"))).toward["c1"] == plugs.toward["c1"]
    assert len(running.database.log) == 2


async def test_a_device_that_is_not_there_is_named(
    server: tuple[Server, Site], bridges: OvsdbBridges
) -> None:
    running, site = server
    running.database.broken["eth0"] = "could not open network device eth0"
    with pytest.raises(Unavailable, match="could not open network device eth0"):
        await bridges.ensure(site, wiring())
    running.database.broken.clear()
    running.database.restart()
    running.changed()

    async def ensured() -> bool:
        with contextlib.suppress(Unavailable):
            return (await bridges.ensure(site, wiring())).outside == 1
        return False

    await until(ensured)


async def test_a_name_that_is_taken_is_refused(
    server: tuple[Server, Site], bridges: OvsdbBridges
) -> None:
    running, site = server
    await bridges.ensure(site, wiring())
    twice = replace(site, node="pe1", hosts=("h1", "l-c1"))
    with pytest.raises(OvsdbRefused, match="twice"):
        await bridges.ensure(twice, wiring())
    assert len(running.database.log) == 1


async def test_nobody_there(bridges: OvsdbBridges, server: tuple[Server, Site]) -> None:
    running, site = server
    await running.stop()
    impatient = OvsdbBridges(settle_s=0.2, patience=IMPATIENT)
    with pytest.raises(OvsdbGone) as caught:
        await impatient.ensure(site, wiring())
    assert caught.value.details["node"] == "pe1"
    await impatient.close()
    await running.start()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff",
        b'{"id":1,"result":[],"error":null}',
        b'{"id":1,"result":{"Bridge":{"u":{"new":{"name":["what"]}}}},"error":null}',
        b'{"id":null,"method":"update","params":7}',
        b'{"id":[1],"result":1}',
        b'{"id":1,"error":"not today","result":null}',
    ],
)
async def test_garbage_ends_that_connection_only(
    server: tuple[Server, Site], bridges: OvsdbBridges, garbage: bytes
) -> None:
    running, site = server
    await bridges.ensure(site, wiring())
    session = next(iter(running.sessions))
    assert await comes_back(garbage, IMPATIENT) is None
    assert list(running.sessions) == [session]


async def test_a_silent_database_is_left() -> None:
    assert await comes_back(b"", replace(IMPATIENT, answer_s=0.1)) is None


async def comes_back(said: bytes, patience: Patience) -> Replica | None:
    """A connection to a server that says this and no more connects three times; what it knows."""
    came, left = [], []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        left.append(writer)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    target = f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}"
    connection = Connection(target, patience)
    task = asyncio.create_task(connection.run())
    await when(lambda: len(came) >= 3)
    await ended(task)
    server.close()
    await server.wait_closed()
    await when(lambda: len(left) == len(came))
    return connection.replica
