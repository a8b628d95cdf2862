"""A testbed's plan and its lines for `ip`: addresses and names never collide, for any network."""

import json
import os
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umbel.compute import inventory
from umbel.kit.errors import Invalid
from umbel.network.drivers.ovsdb.layout import local_mac
from umbel.network.slices import admission
from umbel.network.topology import document as topology
from umbel.network.topology import files, sites_document
from umbel.network.topology.document import BadNetwork
from umbel.network.topology.sites import crossing_cable
from umbel.testbed import build, plan, script, shaping, state
from umbel.testbed.build import NotRoot, ToolMissing
from umbel.testbed.plan import BadTestbedName, Plan
from umbel.testbed.state import NoSuchTestbed, State

SLS = plan.plan(files.builtin("sls"), "umbel", 99)


@st.composite
def networks(draw: st.DrawFn) -> object:
    """Any network document that is good."""
    names = draw(
        st.lists(
            st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True),
            min_size=1,
            max_size=12,
            unique=True,
        )
    )
    half = (len(names) + 1) // 2
    nodes, hosts = names[:half], names[half:]
    pairs = [(a, b) for i, a in enumerate(nodes) for b in nodes[:i]]
    links = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return {
        "nodes": [{"name": n, "address": f"127.0.{i}.1"} for i, n in enumerate(nodes, start=1)],
        "links": [
            {"a": a, "b": b, "mbps": draw(st.floats(0.01, 1e5)), "crosses": draw(st.booleans())}
            for a, b in links
        ],
        "hosts": [{"name": name, "node": draw(st.sampled_from(nodes))} for name in hosts],
        "slices": {"gold": {"min_mbps": draw(st.floats(0.1, 8)), "max_mbps": 8}},
    }


def test_a_node_has_its_number_in_every_address() -> None:
    c1 = SLS.nodes[5]
    assert (c1.name, c1.number, c1.namespace, c1.outer) == ("c1", 6, "umbel-c1", "umbel-m6")
    assert c1.node.address == c1.management == "10.99.6.1"
    assert c1.node.prefixes == ("10.202.6.0/24",)
    assert (c1.node.cores, c1.node.kind.value) == (4, "core")
    assert c1.site.ovsdb == "tcp:10.99.6.1:6640"
    assert c1.site.datapath_id == 0x756D62000006
    assert local_mac(c1.site) == "02:6d:62:00:00:06"
    assert c1.site.gateway == "10.202.6.1/24"
    assert c1.site.cables == {"pe1": "link1", "pe2": "link2", "pe3": "link3", "c2": "link7"}
    assert c1.site.queues == {"pe1": "wire1", "pe2": "wire2", "pe3": "wire3", "c2": "wire7"}
    assert c1.site.hosts == ()
    provider, viewer = SLS.hosts_of("pe1")
    assert (provider.namespace, provider.address) == ("umbel-provider1", "10.202.1.10/24")
    assert (viewer.device, viewer.gateway) == ("host11", "10.202.1.1")
    assert SLS.nodes[0].site.hosts == ("host10", "host11")
    assert (SLS.bridge, SLS.controller, SLS.default_access) == ("umbel-mgmt", "10.99.0.1", "pe1")


@given(networks())
def test_nothing_collides_in_any_network(document: object) -> None:
    made = plan.plan(document, "umbel", 96)
    namespaces = [place.namespace for place in made.nodes]
    namespaces += [place.namespace for place in made.hosts]
    assert len(set(namespaces)) == len(namespaces)
    addresses = [
        *(node.management for node in made.nodes),
        *(node.site.gateway for node in made.nodes),
        *(host.address for host in made.hosts),
        *(cable.address for node in made.nodes for cable in node.cables),
    ]
    assert len(set(addresses)) == len(addresses)
    macs = [local_mac(node.site) for node in made.nodes] + [host.mac for host in made.hosts]
    assert len(set(macs)) == len(macs)
    for node in made.nodes:
        devices = [d for c in node.cables for d in (c.device, c.back, c.hop, c.wire, c.bridge)]
        devices += [*node.site.hosts, "lo", "mgmt0", "ov0", "br0", "br1"]
        assert len(set(devices)) == len(devices)
        assert all(len(device) <= 15 for device in (*devices, node.outer))
    ends = {(n.name, c.neighbour): IPv4Interface(c.address) for n in made.nodes for c in n.cables}
    assert all(ends[b, a].network == end.network for (a, b), end in ends.items())
    assert len({end.network for end in ends.values()}) * 2 == len(ends)


@given(networks())
def test_the_sites_file_gives_the_same_testbed_again(document: object) -> None:
    made = plan.plan(document, "umbel", 100)
    written = plan.document(made)
    assert plan.plan(written, "umbel", 100) == made
    assert topology.parse(written) == topology.parse(document)
    assert admission.inspect(written) == admission.inspect(document)
    assert [node.address for node in inventory.parse(written).nodes] == [
        node.management for node in made.nodes
    ]


def test_a_link_over_foreign_ground_has_addresses_there_and_a_cable_to_be_made() -> None:
    links = [{"a": "a", "b": "b", "crosses": True}, {"a": "b", "b": "c"}]
    nodes = [{"name": name, "address": f"127.0.{i}.1"} for i, name in enumerate("abc", 1)]
    document = {"nodes": nodes, "links": links}
    made = plan.plan(document, "umbel", 99)
    a, b, _ = (node.site for node in made.nodes)
    assert a.crossings == {"b": "10.205.0.1:51822"}
    assert b.crossings == {"a": "10.205.0.2:51821"}
    assert b.cables == {"a": crossing_cable("a"), "c": "link3"}
    assert sites_document.parse(plan.document(made)).sites == tuple(
        node.site for node in made.nodes
    )
    lines = "\n".join(script.node(made, made.nodes[1]))
    assert "address add 10.205.0.2/30 dev wire1" in lines
    assert "link1" not in lines
    assert crossing_cable("a") not in lines
    assert "link3" in lines


def test_a_bad_network_is_refused_with_every_problem() -> None:
    with pytest.raises(BadNetwork) as caught:
        plan.plan(
            {
                "nodes": [{"name": "a"}, {"name": "b", "address": "127.0.1.1"}],
                "links": [{"a": "b", "b": "b"}],
                "hosts": [{"name": "b", "node": "z"}],
            },
            "umbel",
            96,
        )
    assert caught.value.details["problems"] == [
        "node a: address: Field required",
        "link b-b: joins a node to itself",
        "host b: unknown node z",
        "host b: is a node's name",
    ]


def test_a_network_may_be_too_large() -> None:
    nodes = [{"name": f"n{i}", "address": f"127.1.{i // 250}.{i % 250 + 1}"} for i in range(255)]
    hosts = [{"name": f"h{i}", "node": "n0"} for i in range(201)]
    with pytest.raises(BadNetwork) as caught:
        plan.plan({"nodes": nodes, "hosts": hosts}, "umbel", 96)
    assert caught.value.details["problems"] == [
        "255 nodes are more than a testbed's 254",
        "node n0: 201 hosts are more than a testbed's 200",
    ]


@pytest.mark.parametrize("name", ["", "A", "a-b", "1a", "abcdefghijk", "a/b", "a b", "ä"])
def test_a_name_that_could_meet_another_or_is_too_long_is_refused(name: str) -> None:
    with pytest.raises(BadTestbedName):
        plan.check_name(name)


def test_a_free_management_network_is_chosen() -> None:
    def octet(*used: str) -> int | None:
        return plan.free_octet(IPv4Network(text) for text in used)

    assert octet() == 96
    assert octet("10.96.0.0/16", "10.97.3.4/32", "192.168.0.0/16") == 98
    assert octet("10.96.0.0/12") == 112
    assert octet("10.0.0.0/8", "10.96.0.0/16") == 97
    assert octet(*(f"10.{k}.0.0/16" for k in range(96, 128))) is None


def test_lines_for_ip_make_both_ends_of_everything() -> None:
    root = list(script.cables(SLS))
    assert "link add wire6 netns umbel-pe1 type veth peer wire1 netns umbel-c1" in root
    assert "link add umbel-m7 type veth peer mgmt0 netns umbel-c2" in root
    assert (
        "link add host11 netns umbel-pe1 type veth peer eth0 address 02:75:6d:00:01:0b"
        " netns umbel-viewer1" in root
    )
    assert "rule add from 10.99.0.1 lookup 20099 pref 20099" in root
    pe3 = list(script.node(SLS, SLS.nodes[2]))
    assert "address add 10.99.3.1/16 dev mgmt0" in pe3
    assert "addr replace 10.202.3.1/24 dev ov0" in pe3
    assert "route add 10.202.7.0/24 via 10.99.7.1 dev mgmt0" in pe3
    assert "route replace 10.203.0.0/16 via 10.202.3.254 dev ov0" in pe3
    host = list(script.host(SLS.hosts[0], SLS.nodes[0]))
    assert "route add default via 10.202.1.1 dev eth0" in host
    mac = "02:6d:62:00:00:01"
    assert f"neighbor replace 10.202.1.1 lladdr {mac} dev eth0 nud permanent" in host
    assert f"link set ov0 address {mac} mtu 1400" in script.node(SLS, SLS.nodes[0])


@given(networks())
def test_no_line_breaks_out_of_its_command(document: object) -> None:
    made: Plan = plan.plan(document, "umbel", 96)
    lines = [*script.management(made), *script.namespaces(made), *script.cables(made)]
    for node in made.nodes:
        lines += script.node(made, node)
    verbs = {"link", "address", "addr", "neigh", "route", "rule", "neighbor", "netns", "tuntap"}
    assert all("\n" not in line and line.split()[0] in verbs for line in lines)


@given(st.floats(0.001, 1e6))
def test_a_link_end_keeps_its_rate_and_a_short_queue(mbps: float) -> None:
    _, shaper, queue = shaping.root_qdisc("link1", mbps)
    words = shaper.split()
    kbit = int(words[words.index("rate") + 1].removesuffix("kbit"))
    assert kbit == max(8, round(mbps * 1000))
    limit = int(queue.split()[-1])
    assert limit >= 32
    assert limit == 32 or limit * shaping.MTU_BYTES * 8 <= mbps * 1e6 * 0.06


def test_what_is_noted_is_read_back_and_rubbish_is_nothing(tmp_path: Path) -> None:
    noted = State(name="umbel", octet=97, complete=True, pids={"a": {"ovs-vswitchd": 77}})
    state.write(tmp_path, noted)
    assert state.read(tmp_path, "umbel") == noted
    text = (tmp_path / "state.json").read_bytes()
    for wrong in (text[:30], b"\xff", b"[]", b'{"octet": 7}', b'{"octet": "97"}', b"[" * 100_000):
        (tmp_path / "state.json").write_bytes(wrong)
        assert state.read(tmp_path, "umbel") == State(name="umbel")
    (tmp_path / "state.json").write_text(
        json.dumps({"octet": 97, "pids": {"a": 7, "b": {"c": -1}}})
    )
    assert state.read(tmp_path, "umbel").pids == {"b": {}}
    with pytest.raises(NoSuchTestbed):
        state.load(tmp_path, "umbel")


NOTED = st.builds(
    State,
    name=st.just("umbel"),
    octet=st.sampled_from(plan.OCTETS),
    complete=st.booleans(),
    pids=st.dictionaries(
        st.text(max_size=4), st.dictionaries(st.text(max_size=4), st.integers(1, 2**22)), max_size=3
    ),
)


@given(noted=NOTED, at=st.integers(0, 200), cut=st.integers(0, 40), noise=st.binary(max_size=9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_state_file_says_what_was_noted_or_what_stands_there(
    tmp_path: Path, noted: State, at: int, cut: int, noise: bytes
) -> None:
    state.write(tmp_path, noted)
    assert state.read(tmp_path, "umbel") == noted
    file = tmp_path / "state.json"
    whole = file.read_bytes()
    file.write_bytes(raw := whole[:at] + noise + whole[at + cut :])
    found = state.read(tmp_path, "umbel")
    if found.octet is None:
        assert found == State(name="umbel")
    else:
        read = json.loads(raw)
        assert (found.octet, found.complete) == (read["octet"], read.get("complete") is True)
        pids = [(n, p, pid) for n, mine in found.pids.items() for p, pid in mine.items()]
        assert all(read["pids"][node][program] == pid > 0 for node, program, pid in pids)


def test_who_is_not_root_or_lacks_a_program_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if os.geteuid() != 0:
        with pytest.raises(NotRoot):
            build.check()
        return
    with pytest.raises(ToolMissing, match=r"apt-get install .*openvswitch-switch"):
        build.check()


def test_the_built_in_networks_can_be_made() -> None:
    vpm = plan.plan(files.builtin("vpm"), "umbel", 96)
    assert [node.name for node in vpm.nodes] == [f"platino{i}" for i in range(1, 6)]
    assert [host.node for host in vpm.hosts] == ["platino2", "platino1", "platino5"]
    assert {host.node for host in SLS.hosts} == {"pe1", "pe2", "pe3", "pe4", "pe5"}
    with pytest.raises(Invalid):
        files.builtin("nowhere")
