"""Functions as servers, as values: what is asked of a cloud, and what is read of what it shows."""

import base64
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute.clouds.model import BadCloud, CloudCredentials, CloudNode, check
from umbel.compute.drivers.openstack import addresses, observed, servers
from umbel.compute.drivers.openstack.observed import ServerPower
from umbel.compute.drivers.openstack.servers import PortAddress, ServerOrder
from umbel.compute.images.model import Image
from umbel.compute.model import Function, FunctionState, Node, NodeKind
from umbel.compute.ports import CannotRun
from umbel.delivery.loop import functions
from umbel.delivery.trees.view import Costs

KEY = Path("/srv/umbel/keys/public.pem")
THERE = CloudNode(
    name="town",
    flavor="small",
    network="lan",
    credentials=CloudCredentials(url="https://192.0.2.11:5000/v3", id="a", secret="s3cret-of-app"),
)
NODE = Node(
    name="town",
    kind=NodeKind.PROVIDER_EDGE,
    address="192.0.2.21",
    cores=4,
    ports=(30000, 30015),
    pool="openstack",
)
IMAGE = Image(name="media", command=(), hashes={}, memory_mb=384)
ADDRESS = PortAddress(
    address="10.0.5.9", prefix=24, gateway="10.0.5.1", public_address="203.0.113.9"
)
FUNCTION = Function(
    id="edge-town-1",
    node="town",
    description=functions.described(KEY, Costs())["edge"],
    environment={"UMBEL_MEDIA_SECRET": "s3cret"},
)
ORDER = ServerOrder(owner="delivery", function=FUNCTION, node=NODE, there=THERE, now_s=1000.0)
RECORD = servers.made(ORDER, IMAGE, ADDRESS, None)


def shown(**changes: Any) -> Any:
    """A server as the library shows it."""
    made: dict[str, Any] = {
        "id": "5e2f",
        "status": "ACTIVE",
        "metadata": servers.serialize(RECORD),
        "fault": None,
        "created_at": "2026-11-30T05:00:00Z",
        "host_status": None,
        "compute_host": None,
    }
    return SimpleNamespace(**(made | changes))


def marked(**more: str) -> dict[str, str]:
    return servers.serialize(RECORD) | more


def test_a_record_survives_in_pieces() -> None:
    metadata = servers.serialize(RECORD)
    assert all(len(key) < 256 and len(value) < 256 for key, value in metadata.items())
    assert servers.parse(metadata) == RECORD
    assert servers.parse(metadata | {servers.READY: "yes"}) == replace(RECORD, is_ready=True)
    assert servers.parse({}) is None
    assert servers.parse({f"{servers.RECORD}00": "{"}) is None


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=300), max_size=4))
def test_metadata_of_others_is_no_record(metadata: Mapping[str, str]) -> None:
    assert servers.parse(metadata) is None


def test_a_function_that_comes_back_has_its_ports() -> None:
    assert RECORD.ports["control"] == 30000
    last = replace(RECORD, ports={"control": 30007})
    again = servers.made(ORDER, IMAGE, ADDRESS, last)
    assert again.ports["control"] == 30007
    assert again.ports["tls"] == 30000


def test_a_server_is_where_its_node_is() -> None:
    ids = {"image": "i", "flavor": "f", "port": "p"}
    body = servers.server(RECORD, ORDER, "00ff", ids, "script")
    assert not {"availability_zone", "host"} & body.keys()
    assert body["networks"] == [{"port": "p"}]
    assert base64.b64decode(body["user_data"]) == b"script"
    there = replace(THERE, zone="nova", machine="c1")
    body = servers.server(RECORD, replace(ORDER, there=there), "00ff", ids, "script")
    assert (body["availability_zone"], body["host"]) == ("nova", "c1")


def test_no_secret_is_in_metadata() -> None:
    body = servers.server(RECORD, ORDER, "00ff", {"image": "i", "flavor": "f", "port": "p"}, "x")
    assert "s3cret" not in json.dumps(body)
    assert "s3cret" not in repr(THERE)


def test_a_script_that_a_server_cannot_have_is_refused() -> None:
    with pytest.raises(CannotRun, match="user data"):
        servers.user_data(RECORD, ADDRESS, ORDER, IMAGE, {"file-0": (str(KEY), "x" * 60000)})
    with pytest.raises(CannotRun, match="no variable"):
        odd = replace(FUNCTION, environment={"A B": "x"})
        servers.user_data(RECORD, ADDRESS, replace(ORDER, function=odd), IMAGE, {})


def test_names_and_marks_tell_installations_and_nodes_apart() -> None:
    assert servers.server_name("00ff", "edge/1") != servers.server_name("00fe", "edge/1")
    assert servers.server_name("00ff", "edge/1").startswith("umbel-edge-1-")
    assert len(servers.server_name("00ff", "x" * 300)) < 64
    assert len(servers.node_mark("00ff", "x" * 300)) <= 60
    assert servers.node_mark("00ff", "a") != servers.node_mark("00ff", "b")


def test_only_the_nodes_ports_are_let_in() -> None:
    tcp, udp = servers.rules(NODE)
    assert (tcp["protocol"], tcp["port_range_min"], tcp["port_range_max"]) == ("tcp", 30000, 30015)
    assert udp["protocol"] == "udp"
    assert servers.rules(replace(NODE, ports=None))[0]["port_range_min"] == 20000


@pytest.mark.parametrize(
    ("flavor", "problem"),
    [
        ({"cores": 2, "memory_mb": 512}, ""),
        ({"cores": 0, "memory_mb": 512}, "needs"),
        ({"cores": 2, "memory_mb": 256}, "384 MiB"),
    ],
)
def test_a_flavour_must_be_large_enough(flavor: Mapping[str, float], problem: str) -> None:
    assert problem in servers.too_small(FUNCTION, IMAGE, flavor)
    assert bool(problem) is bool(servers.too_small(FUNCTION, IMAGE, flavor))


@pytest.mark.parametrize(
    ("server", "state", "reason"),
    [
        (shown(status="BUILD"), FunctionState.BOOTING, ""),
        (shown(), FunctionState.BOOTING, ""),
        (shown(metadata=marked(umbel_ready="yes")), FunctionState.ACTIVE, ""),
        (shown(status="PAUSED", metadata=marked(umbel_ready="yes")), FunctionState.ACTIVE, ""),
        (shown(status="SHUTOFF"), FunctionState.FAILED, observed.SWITCHED_OFF),
        (
            shown(status="SHUTOFF", metadata=marked(umbel_reason="ended with status 3")),
            FunctionState.FAILED,
            "ended with status 3",
        ),
        (
            shown(status="ERROR", fault={"message": "No valid host was found. "}),
            FunctionState.FAILED,
            "its cloud has no room for it: No valid host was found.",
        ),
        (
            shown(status="ERROR", fault={"message": "Image 5 is\nnot active"}),
            FunctionState.FAILED,
            "its cloud could not start it: Image 5 is not active",
        ),
    ],
)
def test_a_server_is_shown_in_our_words(server: Any, state: FunctionState, reason: str) -> None:
    seen = observed.seen(server)
    assert seen is not None
    assert (seen.state, seen.reason) == (state, reason)


def test_a_server_of_others_is_none_and_a_held_one_is_not_off() -> None:
    assert observed.seen(shown(metadata={"a": "b"})) is None
    held = observed.seen(shown(status="PAUSED"))
    assert held is not None
    assert (held.power, held.is_suspended) == (ServerPower.HELD, True)
    silent = observed.seen(shown(status="UNKNOWN"))
    assert silent is not None
    assert (silent.power, silent.is_silent) == (ServerPower.HELD, True)


@pytest.mark.parametrize(
    ("console", "reason"),
    [
        ("", ""),
        ("[ 1.0] booting\n", ""),
        (
            "x\numbel: the function ended with status 3\n[ 9.9] reboot: Power down\n",
            "ended with status 3",
        ),
        (
            "umbel: the function ended with status 1\numbel: the function killed by signal 9",
            "killed by signal 9",
        ),
        ("umbel: the function \n", ""),
        ("umbel: the function \x1b[2J\x00end", "[2J end"),
    ],
)
def test_a_console_says_how_a_function_ended(console: str, reason: str) -> None:
    assert observed.ended(console) == reason


@given(st.text())
def test_any_console_is_read(console: str) -> None:
    assert len(observed.ended(console)) <= 250
    assert observed.ended(console).isprintable()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"flavor": ""}, "name its flavor"),
        ({"network": ""}, "name its network"),
        ({"network": "a\nb"}, "no name of a network"),
        ({"zone": "a:b"}, "availability zone"),
        ({"machine": "a/b"}, "hypervisor"),
        ({"external": "x" * 300}, "external network"),
    ],
)
def test_what_is_no_clouds_node_is_refused(changes: dict[str, Any], problem: str) -> None:
    check(THERE)
    with pytest.raises(BadCloud, match=problem):
        check(replace(THERE, **changes))


def test_a_program_of_ours_is_python() -> None:
    assert FUNCTION.description.command[0] == sys.executable


def test_a_port_says_whose_it_is_and_that_a_server_is_made_with_it() -> None:
    free, used = SimpleNamespace(description="umbel-1"), SimpleNamespace(description="umbel-1 5e2f")
    assert (addresses.owner(free), addresses.claimed(free)) == ("umbel-1", False)
    assert (addresses.owner(used), addresses.claimed(used)) == ("umbel-1", True)
    assert addresses.owner(SimpleNamespace(description=None)) == ""
