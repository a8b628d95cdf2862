"""The network file's nodes, and where clients enter by their address."""

from ipaddress import ip_address, ip_network
from itertools import islice
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from support import documents
from umbel.compute import inventory
from umbel.compute.access import AccessMap
from umbel.compute.inventory import BadInventory
from umbel.compute.model import DEFAULT_POOL, Inventory, Node, NodeKind, PowerDraw, VimKind
from umbel.network.topology import files

SLS = files.builtin("sls")
VIMS = st.sampled_from(VimKind)
PE1 = Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="127.0.1.1", prefixes=("127.0.1.0/24",))
PE2 = Node(name="pe2", kind=NodeKind.PROVIDER_EDGE, address="127.0.2.1", prefixes=("127.0.2.0/24",))


def problems_of(raw: object) -> list[str]:
    with pytest.raises(BadInventory) as caught:
        inventory.parse(raw)
    assert caught.value.code == "umbel.bad_inventory"
    found = caught.value.details["problems"]
    assert isinstance(found, list)
    return found


def test_the_built_in_network_has_seven_nodes_on_loopback() -> None:
    sls = inventory.parse(files.builtin())
    assert [node.address for node in sls.nodes] == [f"127.0.{n}.1" for n in range(1, 8)]
    kinds = {node.name: node.kind for node in sls.nodes}
    assert [name for name, kind in kinds.items() if kind is NodeKind.CORE] == ["c1", "c2"]
    assert sls.default_access == "pe1"
    assert sls.nodes[3].prefixes == ("127.0.4.0/24",)


def test_defaults_are_the_models() -> None:
    parsed = inventory.parse({"nodes": [{"name": "pe1", "address": "10.0.0.1"}]})
    assert parsed.nodes == (Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="10.0.0.1"),)
    assert parsed.default_access == ""


def test_the_operators_watts_are_read_and_written_again() -> None:
    entry = {"name": "pe1", "address": "10.0.0.1", "cores": 4, "watts": {"idle": 6, "busy": 15}}
    (node,) = inventory.parse({"nodes": [entry]}).nodes
    assert node.watts == PowerDraw(idle=6, busy=15)
    again = inventory.parse({"nodes": [inventory.node_entry(node)]})
    assert again.nodes == (node,)
    watts = PowerDraw(idle=6, busy=15, standby=1)
    assert [watts.at(0), watts.at(0.5), watts.at(2), watts.at(0, is_resting=True)] == [
        6,
        10.5,
        15,
        1,
    ]
    assert node.watts.at(0, is_resting=True) == 6


def test_a_busy_node_draws_no_less_than_an_idle_one() -> None:
    entry = {"name": "pe1", "address": "10.0.0.1", "watts": {"idle": 15, "busy": 6}}
    assert problems_of({"nodes": [entry]}) == [
        "node pe1: watts: Value error, busy is below idle",
        "there are no nodes",
    ]


@pytest.mark.parametrize("last", [65536, 65551])
def test_a_port_range_ends_with_the_last_port_there_is(last: int) -> None:
    def read(ports: list[int]) -> Inventory:
        entry = {"name": "pe1", "address": "10.0.0.1", "ports": ports}
        return inventory.parse({"nodes": [entry]})

    assert read([65520, 65535]).nodes[0].ports == (65520, 65535)
    with pytest.raises(BadInventory):
        read([65520, last])


def test_all_problems_are_told_at_once_and_by_name() -> None:
    nodes = [
        {"name": "a", "address": "127.0.1.1", "prefixes": ["127.0.1.0/24"]},
        {"name": "b", "address": "127.0.1.300", "cores": -1, "memory_mb": 0},
        {"name": "c", "address": "127.0.3.1", "prefixes": ["127.0.3.1/24"]},
        {"name": "a", "address": "127.0.4.1"},
        {"name": "d", "address": "127.0.1.1", "prefixes": ["127.0.1.0/24"]},
        {"address": "127.0.6.1", "kind": "toaster"},
        {"name": "../e", "address": "127.0.7.1", "colour": "red"},
        "f",
    ]
    assert problems_of({"nodes": nodes, "default_access": "z"}) == [
        "node b: address: Value error, neither an IP address nor a host name",
        "node b: cores: Input should be greater than 0",
        "node b: memory_mb: Input should be greater than 0",
        "node c: prefixes: Value error, 127.0.3.1/24 has host bits set",
        "node a: named twice",
        "node d: address 127.0.1.1 is a's",
        "node d: prefix 127.0.1.0/24 is a's",
        "node 6: name: Field required",
        "node 6: kind: Input should be 'provider-edge' or 'core'",
        "node ../e: name: String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'",
        "node ../e: colour: Extra inputs are not permitted",
        "node 8: Input should be a valid dictionary or instance of _NodeEntry",
        "default_access: unknown node z",
    ]


@pytest.mark.parametrize("raw", [None, [], "nodes", {}, {"nodes": {}}, {"nodes": [None]}])
def test_a_document_without_nodes_is_refused(raw: object) -> None:
    assert problems_of(raw)


networks_of_addresses = st.ip_addresses().flatmap(
    lambda address: st.integers(0, address.max_prefixlen).map(
        lambda length: str(ip_network((address, length), strict=False))
    )
)


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Any nodes that no two can be confused of."""
    pools = draw(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True), VIMS))
    pools |= {DEFAULT_POOL: draw(VIMS)}
    positive = st.floats(0, 1e9, exclude_min=True)
    name = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
    nodes: dict[str, Node] = {}
    addresses = draw(st.lists(st.ip_addresses().map(str), unique=True, min_size=1, max_size=4))
    prefixes = iter(draw(st.lists(networks_of_addresses, unique=True, max_size=8)))
    for address in addresses:
        node = Node(
            name=draw(name),
            kind=draw(st.sampled_from(NodeKind)),
            address=address,
            cores=draw(positive),
            memory_mb=draw(positive),
            mbps=draw(positive),
            prefixes=tuple(islice(prefixes, draw(st.integers(0, 2)))),
            pool=draw(st.sampled_from(sorted(pools))),
        )
        nodes.setdefault(node.name, node)
    access = draw(st.sampled_from(["", *nodes]))
    return Inventory(nodes=tuple(nodes.values()), default_access=access, pools=pools)


@given(inventories())
def test_an_inventory_is_read_back_from_its_document_also_through_yaml(written: Inventory) -> None:
    document = documents.of_inventory(written)
    assert inventory.parse(document) == written
    assert inventory.parse(files.decode(yaml.safe_dump(document))) == written


@given(documents.JUNK | documents.damaged(SLS))
@example({"nodes": [{"name": "a", "address": "::1"}], "default_access": ["a"]})
@example({"nodes": [{"name": "a", "address": "::1"}], "default_access": 0})
@example({"nodes": [{"name": "a", "address": "::1"}] * 2})
@example({"nodes": [{"name": "a", "address": "::1"}, {"name": "b", "address": "::1"}]})
@example({"nodes": [{"name": "a", "address": "::1", "pool": "unknown"}]})
def test_what_is_accepted_is_what_the_document_says(raw: Any) -> None:
    try:
        found = inventory.parse(raw)
    except BadInventory as error:
        problems = error.details["problems"]
        assert isinstance(problems, list)
        assert problems
        assert sum(map(len, problems)) <= documents.MOST_TOLD * len(repr(raw))
        return
    assert found.nodes
    assert inventory.parse(documents.of_inventory(found)) == found
    entries = documents.entries_of(raw, "nodes")
    assert [node.name for node in found.nodes] == [entry["name"] for entry in entries]
    assert [ip_address(node.address) for node in found.nodes] == [
        ip_address(entry["address"]) for entry in entries
    ]
    assert [len(node.prefixes) for node in found.nodes] == [
        len(entry.get("prefixes", ())) for entry in entries
    ]
    for values in (
        [node.name for node in found.nodes],
        [node.address for node in found.nodes],
        [prefix for node in found.nodes for prefix in set(node.prefixes)],
    ):
        assert len(set(values)) == len(values)
    assert found.default_access == (raw.get("default_access") or "")
    assert raw.get("default_access") in (None, "", *(entry["name"] for entry in entries))
    assert {node.pool for node in found.nodes} <= found.pools.keys()


def test_clients_enter_where_their_prefix_is_longest() -> None:
    wide = Node(name="wide", kind=NodeKind.CORE, address="127.9.9.9", prefixes=("127.0.0.0/16",))
    access = AccessMap([wide, PE1, PE2], default="pe2")
    assert access.node_of("127.0.1.77") == "pe1"
    assert access.node_of("127.0.200.1") == "wide"
    assert access.node_of("10.1.1.1") == "pe2"
    assert access.node_of("::ffff:127.0.1.77") == "pe1"
    assert access.node_of("2001:db8::1") == "pe2"
    assert access.node_of("not an address") == "pe2"
    assert AccessMap([PE1]).node_of("10.1.1.1") is None


prefixes = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
    lambda pair: str(ip_network((pair[0], pair[1]), strict=False))
)


@given(st.lists(prefixes, unique=True, max_size=8), st.integers(0, 2**32 - 1))
def test_access_is_what_trying_every_prefix_gives(texts: list[str], client: int) -> None:
    nodes = [
        Node(name=f"n{at}", kind=NodeKind.CORE, address="10.0.0.1", prefixes=(text,))
        for at, text in enumerate(texts)
    ]
    address = ip_address(client)
    holding = [n for n in nodes if address in ip_network(n.prefixes[0])]
    best = max(holding, key=lambda n: ip_network(n.prefixes[0]).prefixlen, default=None)
    assert AccessMap(nodes).node_of(str(address)) == (best.name if best else None)
