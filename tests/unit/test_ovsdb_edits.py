"""The one transaction that makes a database what it is to be."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.ovsdb_stand_in import Database
from support.ovsdb_wirings import SITE, tunnel, wiring
from umbel.network.drivers.ovsdb import edits
from umbel.network.drivers.ovsdb.layout import InvalidLayout, layout, tunnel_name
from umbel.network.topology.sites import TunnelKind, Wiring, device_name

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
    with pytest.raises(InvalidLayout, match="c1"):
        layout(SITE, wiring("c1", "c1"))


@given(st.lists(st.text(max_size=30), min_size=1, max_size=3))
def test_names_fit_into_the_kernel(names: list[str]) -> None:
    name = device_name("t", *names)
    assert name == device_name("t", *names)
    assert name.isascii()
    assert len(name) <= 15
    assert name != device_name("t", *names[:-1], names[-1] + "x")


GUEST_MAC = "52:54:0a:60:01:0a"


def plug(database: Database, name: str, mac: str) -> None:
    """A hypervisor adds a port to br1, as libvirt does."""
    (uuid, bridge) = next(
        item for item in database.tables["Bridge"].items() if item[1]["name"] == "br1"
    )
    interface = {"name": name, "external_ids": ["map", [["attached-mac", mac]]]}
    port = {"name": name, "interfaces": ["named-uuid", "i"]}
    put = [["ports", "insert", ["set", [["named-uuid", "p"]]]]]
    database.transact(
        [
            {"op": "insert", "table": "Interface", "row": interface, "uuid-name": "i"},
            {"op": "insert", "table": "Port", "row": port, "uuid-name": "p"},
            {
                "op": "mutate",
                "table": "Bridge",
                "where": [["_uuid", "==", ["uuid", uuid]]],
                "mutations": put,
            },
        ]
    )
    assert bridge


def test_a_guests_port_stays_where_there_are_guests() -> None:
    database, with_guests = made("c1"), replace(SITE, guests="10.96.1.254/24")
    plug(database, "vnet0", GUEST_MAC)
    plug(database, "vnet1", "52:54:00:00:00:01")
    assert edits.guests(database.replica(), "br1") == {}  # it has no number yet
    database.transact(edits.edits(database.replica(), layout(with_guests, wiring("c1"))))
    database.serve()
    assert "vnet0" in database.names("Port")
    assert "vnet1" not in database.names("Port")
    (address, port), *others = edits.guests(database.replica(), "br1").items()
    assert (address, port.mac, others) == ("10.96.1.10", GUEST_MAC, [])
    assert port.number == database.row("Interface", "vnet0")["ofport"]
    database.transact(edits.edits(database.replica(), layout(SITE, wiring("c1"))))
    assert "vnet0" not in database.names("Port")


def test_a_guests_port_has_the_number_that_was_known_before_it_came() -> None:
    database = made("c1")
    plug(database, "vnet0", "52:54:0a:60:01:0b")
    database.serve()
    there, expected = "10.96.1.11", "10.96.1.10"
    numbers = edits.reserved(database.replica(), "br1", (expected, there), {})
    assert [*numbers] == [expected]  # the other one has a number
    assert numbers[expected] not in {row["ofport"] for row in database.tables["Interface"].values()}
    more = edits.reserved(database.replica(), "br1", (expected, "10.96.1.12"), numbers)
    assert more[expected] == numbers[expected] != more["10.96.1.12"]

    assert edits.renumbering(database.replica(), "br1", numbers) == []
    plug(database, "vnet1", GUEST_MAC)
    database.serve()  # vswitchd was faster, and gave any number
    database.transact(edits.renumbering(database.replica(), "br1", numbers))
    database.serve()
    assert edits.guests(database.replica(), "br1")[expected].number == numbers[expected]
    assert edits.renumbering(database.replica(), "br1", numbers) == []
    assert edits.reserved(database.replica(), "br1", (expected,), numbers) == numbers
